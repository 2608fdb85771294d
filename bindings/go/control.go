//go:build linux && (amd64 || arm64)

package ostler

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ostler-proxy/ostler/bindings/go/internal/shm"
	"github.com/ostler-proxy/ostler/bindings/go/internal/wire"
)

// packet is a message of a control socket, and what came with it.
type packet struct {
	message     wire.FrontMessage
	descriptors []int
	// isCut: descriptors were sent that this process had no room for.
	isCut bool
}

func (p *packet) closeDescriptors() {
	for _, fd := range p.descriptors {
		unix.Close(fd)
	}
	p.descriptors = nil
}

// receiver reads a control socket.
type receiver struct {
	buffer  [wire.MaxPacket + 1]byte
	control []byte
}

func newReceiver() *receiver {
	return &receiver{control: make([]byte, unix.CmsgSpace(4*wire.MaxDescriptors))}
}

// receive reads a message if there is one: unix.EAGAIN if there is none, io.EOF at the end.
func (r *receiver) receive(fd int) (packet, error) {
	var p packet
	var count, controlled, flags int
	for {
		var err error
		count, controlled, flags, _, err = unix.Recvmsg(fd, r.buffer[:], r.control, unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC)
		if err == nil {
			break
		}
		if err != unix.EINTR {
			return p, err
		}
	}
	messages, err := unix.ParseSocketControlMessage(r.control[:controlled])
	if err == nil {
		for i := range messages {
			if fds, err := unix.ParseUnixRights(&messages[i]); err == nil {
				p.descriptors = append(p.descriptors, fds...)
			}
		}
	}
	switch {
	case count == 0:
		err = io.EOF
	case flags&unix.MSG_TRUNC != 0 || count > wire.MaxPacket:
		err = fmt.Errorf("%w: a message of more than %d bytes", wire.ErrMalformed, wire.MaxPacket)
	case err == nil:
		p.isCut = flags&unix.MSG_CTRUNC != 0
		p.message, err = wire.DecodeFront(r.buffer[:count])
	}
	if err == nil && !p.isCut && len(p.descriptors) != p.message.HasDescriptors {
		err = fmt.Errorf("%w: a message of kind %d with %d descriptors", wire.ErrMalformed, p.message.Kind, len(p.descriptors))
	}
	if err != nil {
		p.closeDescriptors()
	}
	return p, err
}

// wait reads the next message.
func (r *receiver) wait(raw syscall.RawConn) (packet, error) {
	var p packet
	var failed error
	err := raw.Read(func(fd uintptr) bool {
		p, failed = r.receive(int(fd))
		return failed != unix.EAGAIN
	})
	if err == nil {
		err = failed
	}
	return p, err
}

const handshakeTimeout = 10 * time.Second

// greet answers the hello of a front that has connected.
func (s *Server) greet(control *net.UnixConn) {
	err := s.welcome(control)
	if err == nil {
		return
	}
	control.Close()
	// Whoever looks whether this instance lives connects and says nothing.
	if !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) && !errors.Is(err, unix.ECONNRESET) {
		s.logf("ostler: no channel to a front: %v", err)
	}
}

// welcome serves the front until there is a channel; an error ends the control socket.
func (s *Server) welcome(control *net.UnixConn) error {
	raw, err := control.SyscallConn()
	if err != nil {
		return err
	}
	refuse := func(why string) error {
		_, _ = control.Write(wire.AppendRefused(nil, why))
		return errors.New(why)
	}
	if uid, err := peerUser(raw); err != nil {
		return err
	} else if !s.mayBeFront(uid) {
		return refuse(fmt.Sprintf("user %d may not be a front of this instance", uid))
	}
	if err := control.SetReadDeadline(time.Now().Add(handshakeTimeout)); err != nil {
		return err
	}
	receiver := newReceiver()
	p, err := receiver.wait(raw)
	if err != nil {
		return err
	}
	if err := control.SetReadDeadline(time.Time{}); err != nil {
		p.closeDescriptors()
		return err
	}
	switch {
	case p.isCut:
		p.closeDescriptors()
		return refuse("no more files may be open here")
	case p.message.Kind == wire.Query:
		_, _ = control.Write(wire.AppendInfo(nil, s.count()))
		return control.Close()
	case p.message.Kind != wire.HelloRings && p.message.Kind != wire.HelloRelay:
		p.closeDescriptors()
		return fmt.Errorf("%w: a first message of kind %d", wire.ErrMalformed, p.message.Kind)
	case p.message.Version != wire.Version:
		p.closeDescriptors()
		return refuse(fmt.Sprintf("the front speaks version %d, this target version %d", p.message.Version, wire.Version))
	case p.message.Kind == wire.HelloRelay:
		return s.openRelay(control, raw, receiver, p.message)
	}
	return s.openChannel(control, raw, receiver, &p)
}

func peerUser(raw syscall.RawConn) (uint32, error) {
	var peer *unix.Ucred
	var failed error
	err := raw.Control(func(fd uintptr) {
		peer, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err = errors.Join(err, failed); err != nil {
		return 0, err
	}
	return peer.Uid, nil
}

func (s *Server) mayBeFront(uid uint32) bool {
	for _, user := range s.FrontUsers {
		if user == uid {
			return true
		}
	}
	return uid == 0 || uid == uint32(os.Geteuid()) || uid == s.instance.Owner
}

// count is what a query is answered.
func (s *Server) count() wire.Info {
	s.mu.Lock()
	defer s.mu.Unlock()
	info := wire.Info{Completed: s.completed, Channels: uint32(len(s.channels) + len(s.relayChannels))}
	for channel := range s.channels {
		info.Waiting += channel.consumer.Waiting()
		info.Active += uint64(max(channel.active.Load(), 0))
		info.Completed += channel.completed.Load()
	}
	return info
}

// openChannel maps the front's memory and gives it this side's.
func (s *Server) openChannel(control *net.UnixConn, raw syscall.RawConn, receiver *receiver, p *packet) error {
	hello := p.message
	events := make([]*shm.Event, 0, 3)
	for at, name := range []string{"wake target", "wake front", "pace front"} {
		event, err := shm.NewEvent(p.descriptors[at+1], name)
		if err != nil {
			return err
		}
		events = append(events, event)
	}
	opened := false
	defer func() {
		unix.Close(p.descriptors[0])
		for _, event := range events {
			if !opened {
				event.Close()
			}
		}
	}()
	peer, err := shm.Map(p.descriptors[0], hello.Capacity, hello.Slots)
	if err != nil {
		return err
	}
	own, file, err := shm.Create(hello.Capacity, hello.Slots)
	if err != nil {
		return err
	}
	defer file.Close()
	minor := min(hello.Minor, wire.Minor)
	channel := newChannel(s, control, raw, receiver, minor, own, peer, [3]*shm.Event(events))

	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != open {
		return errors.New("this instance stops")
	}
	welcome := wire.AppendWelcome(nil, minor, uint32(os.Getpid()), s.maxConnections(), s.label(), s.prefixes)
	if _, _, err := control.WriteMsgUnix(welcome, unix.UnixRights(int(file.Fd())), nil); err != nil {
		return err
	}
	opened = true
	s.channels[channel] = struct{}{}
	go channel.readControl()
	go channel.takeEntries()
	return nil
}

func (s *Server) label() string { return s.instance.Label() }

// forget takes a channel that has ended out of the count.
func (s *Server) forget(channel *channel) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.channels[channel]; ok {
		delete(s.channels, channel)
		s.completed += channel.completed.Load()
	}
}
