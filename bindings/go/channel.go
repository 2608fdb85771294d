//go:build linux && (amd64 || arm64)

package ostler

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ostler-proxy/ostler/bindings/go/internal/shm"
	"github.com/ostler-proxy/ostler/bindings/go/internal/wire"
)

// channel joins this process and one thread of a front.
type channel struct {
	server  *Server
	control *net.UnixConn
	raw     syscall.RawConn
	minor   byte
	own     *shm.Region
	peer    *shm.Region
	wake    *shm.Event
	others  [2]*shm.Event

	consumer *shm.Consumer
	sleeper  *shm.Sleeper
	pacer    *shm.Pacer

	// active requests are taken and not completed; those completed leave out what was given back.
	active    atomic.Int64
	completed atomic.Uint64
	dead      atomic.Bool

	// reading is held by whoever reads the control socket, until what was read is in the table.
	reading  sync.Mutex
	receiver *receiver

	// mu guards what is known of slots.
	mu    sync.Mutex
	conns map[uint32]*conn
	// lost are the generations of connections whose sockets could not be received.
	lost map[uint32]uint32

	// sending guards the own ring.
	sending  sync.Mutex
	producer *shm.Producer
	waker    *shm.Waker
	// deferred entries found no room. Nothing goes before them.
	deferred [][]byte
	scratch  []byte
	room     sync.Cond
	retrying bool
}

func newChannel(
	server *Server, control *net.UnixConn, raw syscall.RawConn, receiver *receiver, minor byte,
	own, peer *shm.Region, events [3]*shm.Event,
) *channel {
	c := &channel{
		server:   server,
		control:  control,
		raw:      raw,
		receiver: receiver,
		minor:    minor,
		own:      own,
		peer:     peer,
		wake:     events[0],
		others:   [2]*shm.Event{events[1], events[2]},
		consumer: shm.NewConsumer(own, peer),
		sleeper:  shm.NewSleeper(own),
		pacer:    shm.NewPacer(own, peer, events[2]),
		conns:    make(map[uint32]*conn),
		lost:     make(map[uint32]uint32),
		producer: shm.NewProducer(own, peer),
		waker:    shm.NewWaker(peer, events[1]),
	}
	c.room.L = &c.sending
	return c
}

// fail ends the channel since the front is not what it should be.
func (c *channel) fail(err error) {
	if !c.dead.Load() {
		c.server.logf("ostler: a front misbehaves; its channel ends: %v", err)
	}
	c.end()
}

// end is the end of the channel, whoever wants it: what is under way is finished and its connection closed, for
// nobody would read the next request.
func (c *channel) end() {
	if c.dead.Swap(true) {
		return
	}
	c.control.Close()
	c.wake.Close()
	c.mu.Lock()
	conns := c.conns
	c.conns = make(map[uint32]*conn)
	c.mu.Unlock()
	for _, conn := range conns {
		conn.orphan()
	}
	c.sending.Lock()
	c.deferred = nil
	c.room.Broadcast()
	for _, event := range c.others {
		event.Close()
	}
	c.sending.Unlock()
	c.server.forget(c)
}

func (c *channel) isDrained() bool {
	c.sending.Lock()
	defer c.sending.Unlock()
	return c.active.Load() <= 0 && c.consumer.Waiting() == 0 && len(c.deferred) == 0
}

// readControl reads the control socket until its end.
func (c *channel) readControl() {
	for {
		var failed error
		err := c.raw.Read(func(fd uintptr) bool {
			failed = c.takeMessages(int(fd))
			return failed != nil
		})
		if err == nil {
			err = failed
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed), errors.Is(err, unix.ECONNRESET):
			c.end()
			return
		case err != nil:
			c.fail(err)
			return
		}
	}
}

// takeMessages takes in what stands in the control socket.
func (c *channel) takeMessages(fd int) error {
	c.reading.Lock()
	defer c.reading.Unlock()
	for {
		p, err := c.receiver.receive(fd)
		if err == unix.EAGAIN {
			return nil
		}
		if err != nil {
			return err
		}
		switch p.message.Kind {
		case wire.Connection, wire.TLSConnection:
			if uint64(p.message.Slot) >= c.own.Slots() {
				p.closeDescriptors()
				return fmt.Errorf("%w: slot %d", wire.ErrMalformed, p.message.Slot)
			}
			c.connect(&p)
		case wire.Goodbye:
		default:
			p.closeDescriptors()
			return fmt.Errorf("%w: a message of kind %d on a channel with rings", wire.ErrMalformed, p.message.Kind)
		}
	}
}

// connect takes a client's socket in. It replaces whatever had the slot.
func (c *channel) connect(p *packet) {
	m := &p.message
	if p.isCut {
		p.closeDescriptors()
		c.mu.Lock()
		old := c.conns[m.Slot]
		delete(c.conns, m.Slot)
		c.lost[m.Slot] = m.Generation
		c.mu.Unlock()
		if old != nil {
			old.letGo()
		}
		return
	}
	made := newConn(c, m.Slot, m.Generation, m.Facts, m.TLS)
	made.useSocket(p.descriptors[0])
	c.mu.Lock()
	old := c.conns[m.Slot]
	c.conns[m.Slot] = made
	delete(c.lost, m.Slot)
	dead := c.dead.Load()
	c.mu.Unlock()
	if old != nil {
		old.letGo()
	}
	if dead {
		made.letGo()
	}
}

// remove takes a connection that is over, or the application's, out of the table.
func (c *channel) remove(conn *conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conns[conn.slot] == conn {
		delete(c.conns, conn.slot)
	}
}

func (c *channel) find(slot, generation uint32) *conn {
	c.mu.Lock()
	defer c.mu.Unlock()
	if conn := c.conns[slot]; conn != nil && conn.generation == generation {
		return conn
	}
	return nil
}

// takeEntries takes entries out of the front's ring until the channel ends.
func (c *channel) takeEntries() {
	var buffer []byte
	var entry wire.FrontEntry
	for !c.dead.Load() {
		for {
			payload, some, err := c.consumer.Pop(buffer[:0])
			buffer = payload
			if err == nil && some {
				if err = wire.DecodeEntry(payload, &entry); err == nil {
					err = c.take(&entry)
				}
			}
			if err != nil {
				c.fail(err)
				return
			}
			if !some {
				break
			}
		}
		c.flush()
		err := c.wake.Wait(func() bool {
			c.sleeper.Announce()
			// Behind the announcement: the last entries may have been no requests.
			c.pacer.Look()
			return !c.consumer.IsEmpty()
		})
		c.sleeper.Awake()
		if err != nil {
			c.end()
			return
		}
		c.flush()
	}
}

func (c *channel) take(entry *wire.FrontEntry) error {
	key := entry.Key
	if uint64(key.Slot) >= c.own.Slots() {
		return fmt.Errorf("%w: slot %d", wire.ErrMalformed, key.Slot)
	}
	switch entry.Kind {
	case wire.RequestEntry:
		return c.takeRequest(entry)
	case wire.StreamEntry:
		return c.takeStream(entry)
	case wire.ClientGoneEntry:
		if conn := c.find(key.Slot, key.Generation); conn != nil {
			conn.cancel(key)
		}
	case wire.ClosedEntry:
		if conn := c.find(key.Slot, key.Generation); conn != nil {
			c.remove(conn)
			conn.letGo()
		}
	default:
		return c.takeOfStream(entry)
	}
	return nil
}

func (c *channel) takeRequest(entry *wire.FrontEntry) error {
	key := entry.Key
	conn := c.find(key.Slot, key.Generation)
	if conn == nil {
		// Its socket was sent before the entry was written, so that it is there to be read.
		var failed error
		err := c.raw.Control(func(fd uintptr) { failed = c.takeMessages(int(fd)) })
		if err = errors.Join(err, failed); err != nil {
			return err
		}
		if conn = c.find(key.Slot, key.Generation); conn == nil {
			c.mu.Lock()
			lost := c.lost[key.Slot] == key.Generation
			c.mu.Unlock()
			if !lost {
				return fmt.Errorf("%w: a request of a connection that is not known", wire.ErrMalformed)
			}
			c.server.logf("ostler: no more files may be open: a request goes back to the front")
		}
	}
	if c.begin(key) && !c.giveBackIf(key, conn == nil || c.server.stopping.Load()) {
		return conn.begin(entry)
	}
	return nil
}

// begin says that the request is taken; false if the front has withdrawn it, and then it has been given back.
func (c *channel) begin(key wire.Key) bool {
	c.active.Add(1)
	tag := tagOf(key)
	c.own.UpdateSlot(key.Slot, func(byte) byte { return tag | stateTaken })
	withdrawn := c.peer.Slot(key.Slot) == tag|frontWithdrawn
	c.pacer.Look()
	return !c.giveBackIf(key, withdrawn)
}

func (c *channel) giveBackIf(key wire.Key, is bool) bool {
	if is {
		c.complete(&wire.Completed{Key: key, Disposition: wire.Returned, Ending: wire.NotBegun})
	}
	return is
}

// The bits of a slot's byte (sections 10 and 11).
const (
	stateTaken      = 1
	stateBody       = 2
	stateResponding = 4
	stateAwaited    = 8

	frontWithdrawn = 1
	frontTooSlow   = 2
)

// tagOf stands in the upper half of a slot's byte, so that what an earlier exchange has left there is not
// taken for this one's.
func tagOf(key wire.Key) byte { return byte(key.Exchange%8+8) << 4 }

// setState adds bits to the state byte, and takes some away.
func (c *channel) setState(key wire.Key, add, remove byte) {
	tag := tagOf(key)
	c.own.UpdateSlot(key.Slot, func(state byte) byte {
		if state&0xF0 != tag {
			return state
		}
		return state&^remove | add
	})
}

func (c *channel) isTooSlow(key wire.Key) bool {
	return c.peer.Slot(key.Slot) == tagOf(key)|frontTooSlow
}

// complete tells the front that an exchange is over.
func (c *channel) complete(done *wire.Completed) {
	c.sending.Lock()
	c.scratch = wire.AppendCompleted(c.scratch[:0], done)
	c.pushOrDefer(c.scratch)
	c.sending.Unlock()
	// What goes back is somebody else's to complete. Counted behind the entry, so that a process that is drained
	// has said everything.
	if done.Disposition != wire.Returned {
		c.completed.Add(1)
	}
	c.active.Add(-1)
}

// pushOrDefer puts a short entry into the ring, now or once there is room. The mutex is held.
func (c *channel) pushOrDefer(entry []byte) {
	if c.dead.Load() {
		return
	}
	if len(c.deferred) == 0 {
		sent, err := c.producer.Push(entry)
		if err != nil {
			go c.fail(err)
			return
		}
		if sent {
			c.waker.Wake()
			return
		}
	}
	c.deferred = append(c.deferred, append([]byte(nil), entry...))
	c.askForRoom()
}

// flush sends what was deferred, and has those who wait for room try.
func (c *channel) flush() {
	c.sending.Lock()
	defer c.sending.Unlock()
	for len(c.deferred) > 0 && !c.dead.Load() {
		sent, err := c.producer.Push(c.deferred[0])
		if err != nil {
			go c.fail(err)
			return
		}
		if !sent {
			c.askForRoom()
			return
		}
		c.deferred = c.deferred[1:]
		c.waker.Wake()
	}
	c.producer.ForgetRoom()
	c.room.Broadcast()
}

// askForRoom has the front wake this side when there is room again. One of an older minor version does not, and
// what is waited for may have come meanwhile: so it is looked at again, too. The mutex is held.
func (c *channel) askForRoom() {
	c.producer.AskForRoom()
	c.waker.Wake()
	if c.retrying {
		return
	}
	c.retrying = true
	time.AfterFunc(5*time.Millisecond, func() {
		c.sending.Lock()
		c.retrying = false
		c.sending.Unlock()
		c.flush()
	})
}
