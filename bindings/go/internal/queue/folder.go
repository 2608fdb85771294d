//go:build linux

package queue

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// folder is a folder that is open. What is in it is reached through its descriptor, no symbolic link is
// followed and nothing is waited for: others may be able to write here.
type folder struct {
	file *os.File
	path string
}

func (f *folder) fd() int { return int(f.file.Fd()) }

func (f *folder) close() { f.file.Close() }

func (f *folder) failed(doing, name string, err error) error {
	return &fs.PathError{Op: doing, Path: filepath.Join(f.path, name), Err: err}
}

const folderFlags = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_CLOEXEC | unix.O_NONBLOCK

func openFolder(path string) (*folder, error) {
	fd, err := unix.Open(path, folderFlags, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return &folder{os.NewFile(uintptr(fd), path), path}, nil
}

func (f *folder) enter(name string) (*folder, error) {
	fd, err := unix.Openat(f.fd(), name, folderFlags|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, f.failed("open", name, err)
	}
	path := filepath.Join(f.path, name)
	return &folder{os.NewFile(uintptr(fd), path), path}, nil
}

// make makes a folder unless it is there. Its mode is what is asked for whatever the umask is; a group that is
// handed on from the folder above stays.
func (f *folder) make(name string, mode uint32) (*folder, error) {
	err := unix.Mkdirat(f.fd(), name, mode&0o777)
	if err != nil && err != unix.EEXIST {
		return nil, f.failed("mkdir", name, err)
	}
	made := err == nil
	entered, err := f.enter(name)
	if err != nil || !made {
		return entered, err
	}
	var stat unix.Stat_t
	if err := unix.Fstat(entered.fd(), &stat); err != nil {
		entered.close()
		return nil, f.failed("stat", name, err)
	}
	if err := unix.Fchmod(entered.fd(), mode|stat.Mode&unix.S_ISGID); err != nil {
		entered.close()
		return nil, f.failed("chmod", name, err)
	}
	return entered, nil
}

// modes of a file and of a socket: whoever may pass through the folder may read the one and connect to the other.
func (f *folder) modes() (file, socket uint32, err error) {
	var stat unix.Stat_t
	if err := unix.Fstat(f.fd(), &stat); err != nil {
		return 0, 0, f.failed("stat", "", err)
	}
	pass := stat.Mode & 0o011
	return 0o600 | pass<<2, 0o600 | pass<<2 | pass<<1, nil
}

// write writes a file beside its place and puts it there.
func (f *folder) write(name string, content []byte) error {
	mode, _, err := f.modes()
	if err != nil {
		return err
	}
	beside := name + ".new"
	_ = unix.Unlinkat(f.fd(), beside, 0)
	fd, err := unix.Openat(f.fd(), beside, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, mode)
	if err != nil {
		return f.failed("create", beside, err)
	}
	file := os.NewFile(uintptr(fd), beside)
	_, err = file.Write(content)
	if err == nil {
		err = unix.Fchmod(fd, mode)
	}
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return f.failed("write", beside, err)
	}
	return f.rename(beside, name)
}

func (f *folder) rename(from, to string) error {
	if err := unix.Renameat(f.fd(), from, f.fd(), to); err != nil {
		return f.failed("rename", from, err)
	}
	return nil
}

func (f *folder) remove(name string) { _ = unix.Unlinkat(f.fd(), name, 0) }

func (f *folder) names() ([]string, error) {
	if _, err := f.file.Seek(0, 0); err != nil {
		return nil, f.failed("read", "", err)
	}
	return f.file.Readdirnames(-1)
}

// lock waits for the file's lock, which goes with the descriptor.
func (f *folder) lock(name string) (*os.File, error) {
	const flags = unix.O_RDWR | unix.O_CREAT | unix.O_NOFOLLOW | unix.O_CLOEXEC | unix.O_NONBLOCK
	fd, err := unix.Openat(f.fd(), name, flags, 0o660)
	if err != nil {
		return nil, f.failed("open", name, err)
	}
	file := os.NewFile(uintptr(fd), name)
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil || stat.Mode&unix.S_IFMT != unix.S_IFREG {
		file.Close()
		return nil, f.failed("open", name, errors.Join(err, errors.New("it is no regular file")))
	}
	// Whoever made it may have a narrow umask; whoever did not may not change it, and need not.
	_ = unix.Fchmod(fd, 0o660)
	for {
		if err = unix.Flock(fd, unix.LOCK_EX); err != unix.EINTR {
			break
		}
	}
	if err != nil {
		file.Close()
		return nil, f.failed("lock", name, err)
	}
	return file, nil
}

// isLive says whether somebody listens on a socket.
func (f *folder) isLive(name string) bool {
	there, err := unix.Openat(f.fd(), name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err != unix.ENOENT
	}
	defer unix.Close(there)
	var stat unix.Stat_t
	if unix.Fstat(there, &stat) != nil || stat.Mode&unix.S_IFMT != unix.S_IFSOCK {
		return false
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return true
	}
	defer unix.Close(fd)
	err = unix.Connect(fd, &unix.SockaddrUnix{Name: byDescriptor(there)})
	return err != unix.ECONNREFUSED && err != unix.ENOENT
}

func byDescriptor(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }

// runtimeFolder is where queues are: the folder that is given, else the one of the environment.
func runtimeFolder(given string) string {
	if given != "" {
		return given
	}
	if named := os.Getenv("OSTLER_RUNTIME_DIR"); named != "" {
		return named
	}
	const system = "/run/ostler"
	user := os.Getenv("XDG_RUNTIME_DIR")
	if queues, err := queuesIn(system); err == nil {
		defer queues.close()
		if user == "" || unix.Faccessat(queues.fd(), ".", unix.W_OK|unix.X_OK, unix.AT_EACCESS) == nil {
			return system
		}
	}
	if user != "" {
		return filepath.Join(user, "ostler")
	}
	return system
}

// queuesIn is the folder of a runtime folder's queues; both are made where they are missing.
func queuesIn(path string) (*folder, error) {
	runtime, err := openFolder(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(path, 0o755); err != nil {
			return nil, fmt.Errorf("the runtime folder: %w", err)
		}
		if err := os.Chmod(path, 0o755); err != nil {
			return nil, fmt.Errorf("the runtime folder: %w", err)
		}
		runtime, err = openFolder(path)
	}
	if err != nil {
		return nil, fmt.Errorf("the runtime folder: %w", err)
	}
	defer runtime.close()
	return runtime.make("queues", 0o755)
}
