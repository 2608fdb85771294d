//go:build linux && (amd64 || arm64)

package socket

import (
	"errors"
	"io"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Control messages of a socket whose records the kernel encrypts (linux/tls.h), and types of records.
const (
	setRecordType = 1
	getRecordType = 2

	alertRecord       = 21
	applicationRecord = 23

	closeNotify  = 0
	userCanceled = 90
)

var errRecord = errors.New("the client's TLS says something that the kernel cannot take")

func (s *Socket) recvTLS(p []byte) (int, error) {
	s.mu.Lock()
	ended := s.inputEnded
	s.mu.Unlock()
	if ended {
		return 0, io.EOF
	}
	if len(p) == 0 {
		return 0, nil
	}
	control := make([]byte, unix.CmsgSpace(1))
	halfAlert := false
	for {
		n, controlled, _, _, err := unix.Recvmsg(s.fd, p, control, unix.MSG_DONTWAIT)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return 0, err
		}
		kind := byte(applicationRecord)
		messages, err := unix.ParseSocketControlMessage(control[:controlled])
		if err != nil {
			return 0, err
		}
		for _, message := range messages {
			if message.Header.Level == unix.SOL_TLS && message.Header.Type == getRecordType && len(message.Data) > 0 {
				kind = message.Data[0]
			}
		}
		switch {
		case kind == applicationRecord && n > 0:
			return n, nil
		case kind == applicationRecord && len(messages) > 0:
			// An empty record says nothing.
			continue
		case kind == alertRecord && n == 1 && !halfAlert:
			// There was room for one of its two bytes.
			halfAlert = true
			continue
		case kind == applicationRecord, kind == alertRecord && n > 0 && p[n-1] == closeNotify:
			s.mu.Lock()
			s.inputEnded = true
			s.mu.Unlock()
			return 0, io.EOF
		case kind == alertRecord && n > 0 && p[n-1] == userCanceled:
			halfAlert = false
			continue
		default:
			return 0, errRecord
		}
	}
}

// CloseNotify says that all has been sent: unix.EAGAIN while there is no room to say it. It must come before
// ShutdownWrite.
func (s *Socket) CloseNotify() error {
	if !s.tls {
		return nil
	}
	if err := s.begin(); err != nil {
		return err
	}
	defer s.end()
	ready := []unix.PollFd{{Fd: int32(s.fd), Events: unix.POLLOUT}}
	if _, err := unix.Poll(ready, 0); err != nil {
		return err
	}
	if ready[0].Revents&unix.POLLOUT == 0 {
		if ready[0].Revents != 0 {
			return unix.EPIPE
		}
		return unix.EAGAIN
	}
	control := make([]byte, unix.CmsgSpace(1))
	header := (*unix.Cmsghdr)(unsafe.Pointer(&control[0]))
	header.Level, header.Type = unix.SOL_TLS, setRecordType
	header.SetLen(unix.CmsgLen(1))
	control[unix.CmsgLen(0)] = alertRecord
	alert := []byte{1, closeNotify}
	_, err := unix.SendmsgN(s.fd, alert, control, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
	return err
}
