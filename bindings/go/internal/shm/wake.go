//go:build linux && (amd64 || arm64)

package shm

import (
	"os"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// Event is an eventfd that wakes the peer.
type Event struct {
	file *os.File
	raw  syscall.RawConn
}

// NewEvent takes an eventfd over; nothing is changed of its flags, which both sides share.
func NewEvent(fd int, name string) (*Event, error) {
	file := os.NewFile(uintptr(fd), name)
	raw, err := file.SyscallConn()
	if err != nil {
		file.Close()
		return nil, err
	}
	return &Event{file, raw}, nil
}

// Signal wakes whoever waits. A counter that is full is readable already, and a descriptor that was closed has
// nobody behind it.
func (e *Event) Signal() {
	_ = e.raw.Control(func(fd uintptr) {
		one := [8]byte{1}
		for {
			if _, err := unix.Write(int(fd), one[:]); err != unix.EINTR {
				return
			}
		}
	})
}

// Wait calls done until it says true, each time that the event has been signalled and once to begin with. The
// event need not be read: each write to it is an edge.
func (e *Event) Wait(done func() bool) error {
	return e.raw.Read(func(uintptr) bool { return done() })
}

// Close ends waiting, too.
func (e *Event) Close() { e.file.Close() }

// Sleeper announces that this side is about to sleep.
type Sleeper struct {
	own      *Region
	sequence uint64
}

// NewSleeper writes to own.
func NewSleeper(own *Region) *Sleeper { return &Sleeper{own: own} }

// Announce says so. Look at everything once more behind it.
func (s *Sleeper) Announce() {
	s.sequence = (s.sequence + 1) | 1
	s.own.store(atSleepSequence, s.sequence)
}

// Awake says that no wake-up is needed.
func (s *Sleeper) Awake() {
	if s.sequence%2 == 1 {
		s.sequence++
		s.own.store(atSleepSequence, s.sequence)
	}
}

// Waker wakes the peer if it sleeps. It is for one goroutine at a time.
type Waker struct {
	peer  *Region
	event *Event
	// answered is the announcement that was answered last: even, so none, to begin with.
	answered uint64
}

// NewWaker looks at peer and signals event.
func NewWaker(peer *Region, event *Event) *Waker { return &Waker{peer: peer, event: event} }

// Wake is to be called behind what the peer is to see.
func (w *Waker) Wake() {
	sequence := w.peer.load(atSleepSequence)
	if sequence%2 == 1 && sequence != w.answered {
		w.answered = sequence
		w.event.Signal()
	}
}

// Pacer tells the peer that as much has been taken as it waits for.
type Pacer struct {
	own, peer *Region
	event     *Event
	told      atomic.Uint64
}

// NewPacer looks at peer's mark and signals event.
func NewPacer(own, peer *Region, event *Event) *Pacer {
	return &Pacer{own: own, peer: peer, event: event}
}

// Look is to be called once what was taken has been counted.
func (p *Pacer) Look() {
	mark := p.peer.load(atPaceMark)
	if mark == 0 || mark == p.told.Load() || int64(p.own.load(atEntriesConsumed)-mark) < 0 {
		return
	}
	p.told.Store(mark)
	p.event.Signal()
}
