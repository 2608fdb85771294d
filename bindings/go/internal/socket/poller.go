//go:build linux && (amd64 || arm64)

// Package socket is a client's socket that another process holds too: every call on it says for itself that it
// must not block, and it is polled only while somebody waits (section 13 of docs/delegation-protocol.md). Go's
// own poller would be told of each packet that arrives for the front.
package socket

import (
	"fmt"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Poller tells sockets when they can be read or written.
type Poller struct {
	file *os.File
	raw  syscall.RawConn

	mu      sync.Mutex
	sockets map[uint64]*Socket
	last    uint64
	closed  bool
}

// NewPoller starts one; it runs until it is closed.
func NewPoller() (*Poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	p := &Poller{file: os.NewFile(uintptr(fd), "epoll"), sockets: make(map[uint64]*Socket)}
	if p.raw, err = p.file.SyscallConn(); err != nil {
		p.file.Close()
		return nil, err
	}
	go p.run()
	return p, nil
}

// Close ends it once no socket is left.
func (p *Poller) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.closeIfUnused()
}

func (p *Poller) closeIfUnused() {
	if p.closed && len(p.sockets) == 0 {
		p.file.Close()
	}
}

func (p *Poller) run() {
	var events [128]unix.EpollEvent
	for {
		// Go's poller watches this one, which is ready while there are events in it.
		count := 0
		err := p.raw.Read(func(fd uintptr) bool {
			taken, err := unix.EpollWait(int(fd), events[:], 0)
			if err == nil {
				count = taken
			}
			return count > 0
		})
		if err != nil {
			return
		}
		for _, event := range events[:count] {
			id := uint64(uint32(event.Fd)) | uint64(uint32(event.Pad))<<32
			p.mu.Lock()
			socket := p.sockets[id]
			p.mu.Unlock()
			if socket != nil {
				socket.happened(event.Events)
			}
		}
	}
}

func (p *Poller) add(s *Socket) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last++
	s.id = p.last
	p.sockets[s.id] = s
}

func (p *Poller) forget(s *Socket) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.sockets, s.id)
	p.closeIfUnused()
}

func (p *Poller) control(operation int, s *Socket, events uint32) error {
	event := unix.EpollEvent{Events: events, Fd: int32(uint32(s.id)), Pad: int32(uint32(s.id >> 32))}
	var failed error
	err := p.raw.Control(func(fd uintptr) {
		failed = unix.EpollCtl(int(fd), operation, s.fd, &event)
	})
	if err == nil {
		err = failed
	}
	if err != nil {
		return fmt.Errorf("cannot wait for a client's socket: %w", err)
	}
	return nil
}
