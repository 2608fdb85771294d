//go:build linux

package queue

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// ErrExists and ErrNotFound are about the queue's name, by the mode.
var (
	ErrExists   = errors.New("a queue of this name is served already")
	ErrNotFound = errors.New("no queue of this name is served")
)

// Options of opening a queue.
type Options struct {
	RuntimeDir string
	Name       string
	// MayCreate and MayAttach say what to do about a queue that is not there, and about one that is.
	MayCreate, MayAttach bool
	Label                string
	URLPrefixes          []string
	// Of a queue that is made.
	Limit         int64
	Verbosity     string
	WaitTimeoutMS int64
	Permissions   uint32
	// Keep the queue when its last instance leaves.
	Keep bool
}

type properties struct {
	Name          string `json:"name"`
	Limit         int64  `json:"limit"`
	Verbosity     string `json:"verbosity"`
	WaitTimeoutMS int64  `json:"wait_timeout_ms"`
}

type description struct {
	PID         int      `json:"pid"`
	Label       string   `json:"label"`
	URLPrefixes []string `json:"url_prefixes"`
}

// Instance is a process' place in a queue.
type Instance struct {
	// Listener is what fronts connect to.
	Listener *net.UnixListener
	// Owner is the user that owns the runtime folder.
	Owner uint32

	queues *folder
	queue  *folder
	name   string
	id     string
	keep   bool
	label  string
	once   sync.Once
	// prefixes guards the instance's file.
	prefixes sync.Mutex
}

var instances atomic.Uint64

// Open takes a place in a queue.
func Open(options Options) (*Instance, error) {
	name, err := folderName(options.Name)
	if err != nil {
		return nil, err
	}
	path := runtimeFolder(options.RuntimeDir)
	queues, err := queuesIn(path)
	if err != nil {
		return nil, fmt.Errorf("ostler: cannot open the queue %q: %w", options.Name, err)
	}
	instance := &Instance{queues: queues, name: name, keep: options.Keep, label: options.Label}
	if err := instance.open(path, &options); err != nil {
		instance.closeFolders()
		return nil, fmt.Errorf("ostler: cannot open the queue %q: %w", options.Name, err)
	}
	return instance, nil
}

func (i *Instance) open(path string, options *Options) error {
	var stat unix.Stat_t
	if err := unix.Stat(path, &stat); err != nil {
		return fmt.Errorf("the runtime folder: %w", err)
	}
	i.Owner = stat.Uid
	// Opening and closing look before they act; one at a time.
	lock, err := i.queues.lock(".lock")
	if err != nil {
		return err
	}
	defer lock.Close()
	live := false
	if i.queue, err = i.queues.enter(i.name); err == nil {
		live = i.queue.removeDead()
	} else if !errors.Is(err, unix.ENOENT) {
		return err
	}
	switch {
	case live && !options.MayAttach:
		return ErrExists
	case !live && !options.MayCreate:
		return ErrNotFound
	case !live:
		if err := i.create(options); err != nil {
			return err
		}
	}
	i.id = fmt.Sprintf("%d-go%d", os.Getpid(), instances.Add(1))
	// The description first: who sees the socket can read it.
	if err := i.describe(options.URLPrefixes); err != nil {
		return err
	}
	if i.Listener, err = i.queue.listen(i.id + ".sock"); err != nil {
		i.queue.remove(i.id + ".json")
	}
	return err
}

func (i *Instance) create(options *Options) error {
	if i.queue == nil {
		made, err := i.queues.make(i.name, options.Permissions)
		if err != nil {
			return err
		}
		i.queue = made
	}
	content, err := json.Marshal(properties{options.Name, options.Limit, options.Verbosity, options.WaitTimeoutMS})
	if err != nil {
		return err
	}
	return i.queue.write("queue.json", content)
}

func (i *Instance) describe(prefixes []string) error {
	content, err := json.Marshal(description{os.Getpid(), i.label, prefixes})
	if err != nil {
		return err
	}
	return i.queue.write(i.id+".json", content)
}

// SetURLPrefixes writes what the instance serves from now on.
func (i *Instance) SetURLPrefixes(prefixes []string) error {
	i.prefixes.Lock()
	defer i.prefixes.Unlock()
	return i.describe(prefixes)
}

// listen listens under another name first: who sees the socket can connect to it.
func (f *folder) listen(name string) (*net.UnixListener, error) {
	beside := name + ".new"
	f.remove(beside)
	_, mode, err := f.modes()
	if err != nil {
		return nil, err
	}
	address := &net.UnixAddr{Name: byDescriptor(f.fd()) + "/" + beside, Net: "unixpacket"}
	listener, err := net.ListenUnix("unixpacket", address)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.path, err)
	}
	listener.SetUnlinkOnClose(false)
	if err = unix.Fchmodat(f.fd(), beside, mode, 0); err == nil {
		err = f.rename(beside, name)
	}
	if err != nil {
		listener.Close()
		f.remove(beside)
		return nil, f.failed("bind", name, err)
	}
	return listener, nil
}

// removeDead says whether any instance lives, and removes the files of those that do not.
func (f *folder) removeDead() bool {
	names, err := f.names()
	if err != nil {
		return true
	}
	live := false
	for _, name := range names {
		id, isSocket := strings.CutSuffix(name, ".sock")
		switch {
		case !isSocket:
		case f.isLive(name):
			live = true
		default:
			f.remove(name)
			f.remove(id + ".json")
		}
	}
	return live
}

// Leave takes the instance out of the queue, so that no front finds it any more. The last one removes the queue
// unless it is to be kept.
func (i *Instance) Leave() {
	i.once.Do(func() {
		if lock, err := i.queues.lock(".lock"); err == nil {
			defer lock.Close()
		}
		i.queue.remove(i.id + ".sock")
		i.queue.remove(i.id + ".json")
		if !i.keep && !i.queue.removeDead() {
			i.removeQueue()
		}
		i.closeFolders()
	})
}

func (i *Instance) removeQueue() {
	names, _ := i.queue.names()
	// The queue exists while this does.
	i.queue.remove("queue.json")
	for _, name := range names {
		i.queue.remove(name)
	}
	_ = unix.Unlinkat(i.queues.fd(), i.name, unix.AT_REMOVEDIR)
}

func (i *Instance) closeFolders() {
	i.queues.close()
	if i.queue != nil {
		i.queue.close()
	}
}

// Label is the text for people.
func (i *Instance) Label() string { return i.label }
