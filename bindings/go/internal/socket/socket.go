//go:build linux && (amd64 || arm64)

package socket

import (
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Socket is a client's socket.
type Socket struct {
	fd     int
	id     uint64
	poller *Poller
	// tls: the kernel encrypts and decrypts.
	tls bool
	// readable and writable are called, from the poller, when what was asked for has come.
	readable, writable func()

	mu sync.Mutex
	// users are calls that are in the kernel with the descriptor, which must not be closed under them.
	users  int
	closed bool
	// armed is what epoll watches for; registered says whether it knows the socket.
	armed      uint32
	registered bool
	// inputEnded: the client's close_notify was read, which the kernel tells once.
	inputEnded bool
}

const (
	reads  = unix.EPOLLIN | unix.EPOLLRDHUP
	writes = unix.EPOLLOUT
)

// New takes a descriptor over.
func New(fd int, tls bool, poller *Poller, readable, writable func()) *Socket {
	s := &Socket{fd: fd, poller: poller, tls: tls, readable: readable, writable: writable}
	poller.add(s)
	return s
}

func (s *Socket) begin() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return net.ErrClosed
	}
	s.users++
	return nil
}

func (s *Socket) end() {
	s.mu.Lock()
	s.users--
	last := s.closed && s.users == 0
	s.mu.Unlock()
	if last {
		unix.Close(s.fd)
	}
}

// Close lets go of the descriptor. The connection lives on where the front still has its own.
func (s *Socket) Close() {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return
	}
	s.closed = true
	if s.registered {
		// The front keeps the description, so that epoll would keep it, too.
		_ = s.poller.control(unix.EPOLL_CTL_DEL, s, 0)
	}
	last := s.users == 0
	s.mu.Unlock()
	s.poller.forget(s)
	if last {
		unix.Close(s.fd)
	}
	s.readable()
	s.writable()
}

// AwaitReadable has readable called once when there is something to read; AwaitWritable likewise.
func (s *Socket) AwaitReadable() error { return s.arm(reads) }

// AwaitWritable has writable called once when there is room.
func (s *Socket) AwaitWritable() error { return s.arm(writes) }

func (s *Socket) arm(events uint32) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return net.ErrClosed
	}
	s.armed |= events
	operation := unix.EPOLL_CTL_MOD
	if !s.registered {
		operation = unix.EPOLL_CTL_ADD
	}
	if err := s.poller.control(operation, s, s.armed|unix.EPOLLONESHOT); err != nil {
		return err
	}
	s.registered = true
	return nil
}

func (s *Socket) happened(events uint32) {
	over := events&(unix.EPOLLERR|unix.EPOLLHUP) != 0
	readable, writable := over || events&reads != 0, over || events&writes != 0
	s.mu.Lock()
	if readable {
		s.armed &^= reads
	}
	if writable {
		s.armed &^= writes
	}
	if s.armed != 0 && !s.closed {
		_ = s.poller.control(unix.EPOLL_CTL_MOD, s, s.armed|unix.EPOLLONESHOT)
	}
	s.mu.Unlock()
	if readable {
		s.readable()
	}
	if writable {
		s.writable()
	}
}

// Rest makes epoll forget the socket, between exchanges, when what arrives is the front's.
func (s *Socket) Rest() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.armed&reads != 0 && !s.closed {
		s.armed = 0
		_ = s.poller.control(unix.EPOLL_CTL_MOD, s, unix.EPOLLONESHOT)
	}
}

// Recv reads what is there: unix.EAGAIN where there is nothing now, io.EOF at the end.
func (s *Socket) Recv(p []byte) (int, error) {
	if err := s.begin(); err != nil {
		return 0, err
	}
	defer s.end()
	if s.tls {
		return s.recvTLS(p)
	}
	if len(p) == 0 {
		return 0, nil
	}
	for {
		n, _, errno := unix.Syscall6(unix.SYS_RECVFROM, uintptr(s.fd), uintptr(unsafe.Pointer(&p[0])),
			uintptr(len(p)), unix.MSG_DONTWAIT, 0, 0)
		switch {
		case errno == unix.EINTR:
		case errno != 0:
			return 0, errno
		case n == 0:
			return 0, io.EOF
		default:
			return int(n), nil
		}
	}
}

// Send gives bytes to the socket, as many as it takes: unix.EAGAIN where it takes none now. `more` says that
// others follow at once.
func (s *Socket) Send(p []byte, more bool) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if err := s.begin(); err != nil {
		return 0, err
	}
	defer s.end()
	flags := uintptr(unix.MSG_DONTWAIT | unix.MSG_NOSIGNAL)
	if more {
		flags |= unix.MSG_MORE
	}
	for {
		n, _, errno := unix.Syscall6(unix.SYS_SENDTO, uintptr(s.fd), uintptr(unsafe.Pointer(&p[0])),
			uintptr(len(p)), flags, 0, 0)
		switch {
		case errno == unix.EINTR:
		case errno != 0:
			return 0, errno
		default:
			return int(n), nil
		}
	}
}

// MaxSendFile bounds one call, so that others have their turn.
const MaxSendFile = 4 << 20

// SendFile gives bytes of a file, from where it stands, to the socket. The socket does not block since its
// front has made it so.
func (s *Socket) SendFile(file *os.File, count int64) (int, error) {
	raw, err := file.SyscallConn()
	if err != nil {
		return 0, err
	}
	if err := s.begin(); err != nil {
		return 0, err
	}
	defer s.end()
	sent := 0
	var failed error
	err = raw.Control(func(fd uintptr) {
		for {
			sent, failed = unix.Sendfile(s.fd, int(fd), nil, int(min(count, MaxSendFile)))
			if failed != unix.EINTR {
				return
			}
		}
	})
	runtime.KeepAlive(file)
	if err == nil {
		err = failed
	}
	if err == nil && sent == 0 {
		err = io.EOF
	}
	return max(sent, 0), err
}

// ShutdownWrite ends this direction.
func (s *Socket) ShutdownWrite() { s.shutdown(unix.SHUT_WR) }

// ShutdownBoth says to the client that what it has is not whole.
func (s *Socket) ShutdownBoth() { s.shutdown(unix.SHUT_RDWR) }

func (s *Socket) shutdown(how int) {
	if s.begin() == nil {
		_ = unix.Shutdown(s.fd, how)
		s.end()
	}
}
