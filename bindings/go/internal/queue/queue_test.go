//go:build linux

package queue

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestNamesOfFolders(t *testing.T) {
	for name, want := range map[string]string{
		"TargetHttpSysQueueName": "targethttpsysqueuename",
		"a b/c":                  "a%20b%2fc",
		"..":                     "%2e.",
		".x.y":                   "%2ex.y",
		"Ü":                      "%c3%bc",
		"İ":                      "i%cc%87",
		"ΟΔΟΣ ΣΟΦΟΣ":             "%ce%bf%ce%b4%ce%bf%cf%82%20%cf%83%ce%bf%cf%86%ce%bf%cf%82",
	} {
		if got, err := folderName(name); err != nil || got != want {
			t.Errorf("%q: %q, %v", name, got, err)
		}
	}
	long, err := folderName(strings.Repeat("ü", 260))
	if err != nil || len(long) != 255 || !strings.HasPrefix(long, "%c3%bc") || long[221:223] != "%-" {
		t.Errorf("%q, %v", long, err)
	}
	for _, name := range []string{"", strings.Repeat("a", 261), "\xff"} {
		if _, err := folderName(name); err == nil {
			t.Errorf("%q is taken for a name", name)
		}
	}
	// The hash of nothing, and of "a", as its authors say.
	if fnv1a128("") != "6c62272e07bb014262b821756295c58d" || fnv1a128("a") != "d228cb696f1a8caf78912b704e4a8964" {
		t.Error("the hash is another one")
	}
}

func TestPrefixes(t *testing.T) {
	for given, want := range map[string]string{
		"http://*:80/":           "http://*:80/",
		"HTTP://Example.COM/App": "http://example.com:80/app/",
		"https://+":              "https://+:443/",
		"http://[::1]:5000/x/":   "http://[::1]:5000/x/",
		"http://10.0.0.1:8080":   "http://10.0.0.1:8080/",
		"http://*.example.com/":  "http://*.example.com:80/",
		"http://[0:0::1]/":       "http://[::1]:80/",
	} {
		if got, err := NormalPrefix(given); err != nil || got != want {
			t.Errorf("%q: %q, %v", given, got, err)
		}
	}
	for _, given := range []string{
		"", "*:80", "ftp://x/", "http://", "http://:80/", "http://x:0/", "http://x:080/", "http://x:65536/", "http://x/a?b",
		"http://x/*", "http://[::1/", "http://[::1]80/", "http://[1.2.3.4]/", "http://a b/", "http://a..b/", "http://xn--a/",
	} {
		if got, err := NormalPrefix(given); err == nil {
			t.Errorf("%q is %q", given, got)
		}
	}
}

func open(t *testing.T, folder string, create, attach bool) (*Instance, error) {
	t.Helper()
	return Open(Options{
		RuntimeDir: folder, Name: "Q", MayCreate: create, MayAttach: attach, URLPrefixes: []string{"http://*:80/"},
		Limit: 10, Verbosity: "basic", WaitTimeoutMS: 5, Permissions: 0o750,
	})
}

func TestTheLifeOfAQueue(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "deep", "runtime")
	if _, err := open(t, folder, false, true); !errors.Is(err, ErrNotFound) {
		t.Fatalf("attached to nothing: %v", err)
	}
	first, err := open(t, folder, true, false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := open(t, folder, true, false); !errors.Is(err, ErrExists) {
		t.Fatalf("made twice: %v", err)
	}
	queue := filepath.Join(folder, "queues", "q")
	properties, err := os.ReadFile(filepath.Join(queue, "queue.json"))
	if err != nil || string(properties) != `{"name":"Q","limit":10,"verbosity":"basic","wait_timeout_ms":5}` {
		t.Errorf("%s, %v", properties, err)
	}
	for name, mode := range map[string]os.FileMode{
		"..": 0o755, "../.lock": 0o660, ".": 0o750, "queue.json": 0o640, first.id + ".json": 0o640, first.id + ".sock": 0o660,
	} {
		if about, err := os.Lstat(filepath.Join(queue, name)); err != nil || about.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", name, about, err)
		}
	}
	second, err := open(t, folder, false, true)
	if err != nil {
		t.Fatal(err)
	}
	first.Leave()
	first.Listener.Close()
	if names, _ := os.ReadDir(queue); len(names) != 3 {
		t.Errorf("%v is left where one instance is", names)
	}
	// What a crash leaves is not in the way.
	second.Listener.Close()
	third, err := open(t, folder, true, false)
	if err != nil {
		t.Fatal(err)
	}
	defer third.Listener.Close()
	third.Leave()
	if _, err := os.Stat(queue); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the queue is still there: %v", err)
	}
}

func TestALinkIsNotFollowed(t *testing.T) {
	folder := t.TempDir()
	if err := os.MkdirAll(filepath.Join(folder, "queues"), 0o755); err != nil {
		t.Fatal(err)
	}
	elsewhere := t.TempDir()
	if err := os.Symlink(elsewhere, filepath.Join(folder, "queues", "q")); err != nil {
		t.Fatal(err)
	}
	if _, err := open(t, folder, true, true); err == nil {
		t.Fatal("a queue was opened through a link")
	}
	if names, _ := os.ReadDir(elsewhere); len(names) > 0 {
		t.Errorf("%v was made behind a link", names)
	}
}
