//go:build linux && (amd64 || arm64)

package shm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// pair is two regions, each as its owner and as its peer has it.
func pair(t *testing.T) (ours, theirs, oursSeen, theirsSeen *Region) {
	t.Helper()
	make := func() (own, seen *Region) {
		own, file, err := Create(4096, 130)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		if seen, err = Map(int(file.Fd()), 4096, 130); err != nil {
			t.Fatal(err)
		}
		return own, seen
	}
	ours, oursSeen = make()
	theirs, theirsSeen = make()
	return
}

func TestWhatIsPutInComesOut(t *testing.T) {
	ours, theirs, oursSeen, theirsSeen := pair(t)
	producer, consumer := NewProducer(ours, theirsSeen), NewConsumer(theirs, oursSeen)
	random := rand.New(rand.NewSource(1))
	var waiting [][]byte
	for range 20000 {
		if random.Intn(2) == 0 {
			entry := make([]byte, random.Intn(ours.MaxPayload()+1))
			random.Read(entry)
			half := random.Intn(len(entry) + 1)
			sent, err := producer.Push(entry[:half], entry[half:])
			if err != nil {
				t.Fatal(err)
			}
			if sent {
				waiting = append(waiting, entry)
			}
			continue
		}
		entry, some, err := consumer.Pop(nil)
		if err != nil || some != (len(waiting) > 0) {
			t.Fatalf("%v, %v where %d wait", some, err, len(waiting))
		}
		if some && !bytes.Equal(entry, waiting[0]) {
			t.Fatal("another entry came out than was put in")
		}
		if some {
			waiting = waiting[1:]
		}
		if consumer.Waiting() != uint64(len(waiting)) || consumer.IsEmpty() != (len(waiting) == 0) {
			t.Fatalf("%d wait, not %d", consumer.Waiting(), len(waiting))
		}
	}
	if _, err := producer.Push(make([]byte, ours.MaxPayload()+1)); err == nil {
		t.Error("an entry went in that is longer than a ring takes")
	}
}

func TestAWrongPeerIsFoundOut(t *testing.T) {
	for name, spoil := range map[string]func(*Region){
		"far ahead":     func(r *Region) { r.store(atProducerPosition, 4096+8) },
		"backwards":     func(r *Region) { r.store(atProducerPosition, ^uint64(7)) },
		"no multiple":   func(r *Region) { r.store(atProducerPosition, 12) },
		"length":        func(r *Region) { r.store(r.data, 2000); r.store(atProducerPosition, 64) },
		"beyond itself": func(r *Region) { r.store(r.data, 100); r.store(atProducerPosition, 64) },
		"huge length":   func(r *Region) { r.store(r.data, ^uint64(0)); r.store(atProducerPosition, 64) },
	} {
		ours, theirs, oursSeen, _ := pair(t)
		spoil(ours)
		if _, _, err := NewConsumer(theirs, oursSeen).Pop(nil); !errors.Is(err, ErrBroken) {
			t.Errorf("%s: %v", name, err)
		}
	}
	ours, theirs, _, theirsSeen := pair(t)
	producer := NewProducer(ours, theirsSeen)
	theirs.store(atConsumerPosition, 8000)
	var err error
	for range 5 {
		if _, err = producer.Push(make([]byte, 1000)); err != nil {
			break
		}
	}
	if !errors.Is(err, ErrBroken) {
		t.Errorf("a consumer ahead of the producer: %v", err)
	}
}

func TestRegionsThatAreNone(t *testing.T) {
	unsealed, err := unix.MemfdCreate("unsealed", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(unsealed)
	if _, err := Map(unsealed, 4096, 130); !errors.Is(err, ErrBroken) {
		t.Errorf("unsealed: %v", err)
	}
	_, file, err := Create(4096, 130)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, size := range [][2]uint64{{8192, 130}, {4096, 131000}, {4095, 130}, {1 << 40, 130}, {4096, 0}, {4096, 1 << 40}} {
		if _, err := Map(int(file.Fd()), size[0], size[1]); !errors.Is(err, ErrBroken) {
			t.Errorf("%d, %d: %v", size[0], size[1], err)
		}
	}
}

func TestSlotsBesideEachOtherAreChangedAtOnce(t *testing.T) {
	ours, _, seen, _ := pair(t)
	var all sync.WaitGroup
	for slot := range uint32(8) {
		all.Add(1)
		go func() {
			defer all.Done()
			for range 1000 {
				ours.UpdateSlot(slot, func(old byte) byte { return old + 1 })
			}
		}()
	}
	all.Wait()
	want := byte(1000 % 256)
	for slot := range uint32(8) {
		if seen.Slot(slot) != want {
			t.Errorf("slot %d has %d, not %d", slot, seen.Slot(slot), want)
		}
	}
	if at := atSlotBytes + 5; ours.memory[at] != want {
		t.Error("a slot's byte is not where the page says")
	}
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		t.Error("bytes of a word stand in another order than slotWord takes them to")
	}
	ours.UpdateSlot(1<<30, func(byte) byte { return 1 })
}
