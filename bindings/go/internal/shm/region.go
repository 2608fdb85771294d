//go:build linux && (amd64 || arm64)

// Package shm is the memory that a front and a target share: regions, the rings in them, and wake-ups
// (sections 5 to 7 and 10 of docs/delegation-protocol.md).
//
// The peer's memory may change at any time, whatever a correct peer would do: every word of it is read once,
// bytes are copied out, and what was copied is what is looked at.
package shm

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Where the words of a region stand.
const (
	atMagic            = 0x000
	atLayoutVersion    = 0x008
	atLength           = 0x010
	atCapacity         = 0x018
	atSlots            = 0x020
	atProducerPosition = 0x080
	atEntriesProduced  = 0x088
	atConsumerPosition = 0x100
	atEntriesConsumed  = 0x108
	atSleepSequence    = 0x180
	atPaceMark         = 0x188
	atSlotBytes        = 0x200

	layoutVersion = 1
	tmpfsMagic    = 0x01021994

	minCapacity = 4 << 10
	maxCapacity = 64 << 20
	maxSlots    = 1 << 20
)

var magic = [8]byte{'O', 'S', 'T', 'L', 'E', 'R', 'S', 'M'}

// ErrBroken is what everything that no correct peer does wraps.
var ErrBroken = errors.New("the shared memory is not what a front writes")

func broken(what string) error { return fmt.Errorf("%w: %s", ErrBroken, what) }

// Region is one side's memory, mapped. It is unmapped when nothing refers to it any more.
type Region struct {
	memory []byte
	data   int
	// capacity of the ring, a power of two.
	capacity uint64
	slots    uint64
}

func round(number, to uint64) uint64 { return (number + to - 1) / to * to }

func checkSize(capacity, slots uint64) error {
	if capacity < minCapacity || capacity > maxCapacity || capacity&(capacity-1) != 0 {
		return broken(fmt.Sprintf("a ring of %d bytes", capacity))
	}
	if slots < 1 || slots > maxSlots {
		return broken(fmt.Sprintf("%d slots", slots))
	}
	return nil
}

func dataOffset(slots uint64) uint64 { return round(atSlotBytes+round(slots, 128), 4096) }

// Create makes a region of one's own, and the descriptor to send to the peer.
func Create(capacity, slots uint64) (*Region, *os.File, error) {
	if err := checkSize(capacity, slots); err != nil {
		return nil, nil, err
	}
	fd, err := unix.MemfdCreate("ostler-target", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, nil, os.NewSyscallError("memfd_create", err)
	}
	file := os.NewFile(uintptr(fd), "ostler-target")
	length := dataOffset(slots) + capacity
	if err := unix.Ftruncate(fd, int64(length)); err != nil {
		file.Close()
		return nil, nil, os.NewSyscallError("ftruncate", err)
	}
	region, err := mapped(fd, capacity, slots, unix.PROT_READ|unix.PROT_WRITE)
	if err != nil {
		file.Close()
		return nil, nil, err
	}
	region.word(atMagic).Store(*(*uint64)(unsafe.Pointer(&magic)))
	region.word(atLayoutVersion).Store(layoutVersion)
	region.word(atLength).Store(length)
	region.word(atCapacity).Store(capacity)
	region.word(atSlots).Store(slots)
	const seals = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_FUTURE_WRITE | unix.F_SEAL_SEAL
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals); err != nil {
		file.Close()
		return nil, nil, os.NewSyscallError("fcntl(F_ADD_SEALS)", err)
	}
	return region, file, nil
}

// Map maps a peer's region, whose ring and slots must be as many as it has said.
func Map(fd int, capacity, slots uint64) (*Region, error) {
	if err := checkSize(capacity, slots); err != nil {
		return nil, err
	}
	seals, err := unix.FcntlInt(uintptr(fd), unix.F_GET_SEALS, 0)
	if err != nil {
		return nil, os.NewSyscallError("fcntl(F_GET_SEALS)", err)
	}
	const size = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW
	if seals&size != size || seals&(unix.F_SEAL_WRITE|unix.F_SEAL_FUTURE_WRITE) == 0 {
		return nil, broken("its memory is not sealed")
	}
	var system unix.Statfs_t
	if err := unix.Fstatfs(fd, &system); err != nil {
		return nil, os.NewSyscallError("fstatfs", err)
	}
	if uint64(system.Type) != tmpfsMagic {
		return nil, broken("its memory is no memfd")
	}
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		return nil, os.NewSyscallError("fstat", err)
	}
	length := dataOffset(slots) + capacity
	if uint64(stat.Size) != length {
		return nil, broken(fmt.Sprintf("its memory has %d bytes, not %d", stat.Size, length))
	}
	region, err := mapped(fd, capacity, slots, unix.PROT_READ)
	if err != nil {
		return nil, err
	}
	if region.load(atMagic) != *(*uint64)(unsafe.Pointer(&magic)) {
		return nil, broken("its memory does not begin with OSTLERSM")
	}
	for _, is := range [...]struct {
		what       string
		at         int
		must, this uint64
	}{
		{"layout version", atLayoutVersion, layoutVersion, region.load(atLayoutVersion)},
		{"length", atLength, length, region.load(atLength)},
		{"ring capacity", atCapacity, capacity, region.load(atCapacity)},
		{"number of slots", atSlots, slots, region.load(atSlots)},
	} {
		if is.this != is.must {
			return nil, broken(fmt.Sprintf("its %s is %d, not %d", is.what, is.this, is.must))
		}
	}
	return region, nil
}

func mapped(fd int, capacity, slots uint64, protection int) (*Region, error) {
	data := dataOffset(slots)
	memory, err := unix.Mmap(fd, 0, int(data+capacity), protection, unix.MAP_SHARED)
	if err != nil {
		return nil, os.NewSyscallError("mmap", err)
	}
	region := &Region{memory: memory, data: int(data), capacity: capacity, slots: slots}
	runtime.AddCleanup(region, func(memory []byte) { _ = unix.Munmap(memory) }, memory)
	return region, nil
}

// word is a word of a region that this side writes. It must not outlive the region.
func (r *Region) word(at int) *atomic.Uint64 {
	return (*atomic.Uint64)(unsafe.Pointer(&r.memory[at]))
}

func (r *Region) load(at int) uint64 {
	value := r.word(at).Load()
	runtime.KeepAlive(r)
	return value
}

func (r *Region) store(at int, value uint64) {
	r.word(at).Store(value)
	runtime.KeepAlive(r)
}

// Capacity of the ring.
func (r *Region) Capacity() uint64 { return r.capacity }

// Slots that there are.
func (r *Region) Slots() uint64 { return r.slots }

// MaxPayload is the longest entry.
func (r *Region) MaxPayload() int { return int(r.capacity / 4) }

// slotWord is the aligned word in which a slot's byte lies: there are no atomic bytes in Go, and the bytes
// beside it are of the same writer. Every atomic operation of Go's is sequentially consistent, which is what
// the protocol calls a full fence.
func (r *Region) slotWord(slot uint32) (word *atomic.Uint32, shift uint32) {
	at := atSlotBytes + int(slot&^3)
	return (*atomic.Uint32)(unsafe.Pointer(&r.memory[at])), (slot & 3) * 8
}

// Slot is the byte of a slot.
func (r *Region) Slot(slot uint32) byte {
	if uint64(slot) >= r.slots {
		return 0
	}
	word, shift := r.slotWord(slot)
	value := byte(word.Load() >> shift)
	runtime.KeepAlive(r)
	return value
}

// UpdateSlot changes the byte of a slot in a region of one's own.
func (r *Region) UpdateSlot(slot uint32, change func(byte) byte) {
	if uint64(slot) >= r.slots {
		return
	}
	word, shift := r.slotWord(slot)
	for {
		old := word.Load()
		changed := old&^(0xFF<<shift) | uint32(change(byte(old>>shift)))<<shift
		if word.CompareAndSwap(old, changed) {
			break
		}
	}
	runtime.KeepAlive(r)
}
