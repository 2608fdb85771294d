package wire

import (
	"encoding/hex"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
)

// page is the examples of the protocol's page: each block of hexadecimal numbers.
func page(t testing.TB) []string {
	text, err := os.ReadFile("../../../../docs/delegation-protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	var blocks []string
	for at, block := range strings.Split(string(text), "```") {
		if at%2 == 0 || !strings.HasPrefix(block, "text\n") {
			continue
		}
		for _, example := range strings.Split(strings.TrimPrefix(block, "text\n"), "\n\n") {
			if raw, err := hex.DecodeString(strings.Join(strings.Fields(example), "")); err == nil && len(raw) > 0 {
				blocks = append(blocks, string(raw))
			}
		}
	}
	return blocks
}

func shown(t *testing.T, what string, written []byte) {
	t.Helper()
	for _, block := range page(t) {
		if block == string(written) {
			return
		}
	}
	t.Errorf("the page shows %s otherwise: % x", what, written)
}

var key = Key{Slot: 7, Generation: 2, Exchange: 9}

func TestWhatIsWrittenIsWhatThePageShows(t *testing.T) {
	shown(t, "a welcome", AppendWelcome(nil, 3, 22610, 1024, "shop", []string{"http://*:80/"}))
	done := Completed{
		Status: 200, Key: key, BytesSent: 120, BodyReceived: 5, ReceivedNS: 3000, FirstByteNS: 4000, CompletedNS: 5000,
	}
	shown(t, "a completion", AppendCompleted(nil, &done))
	shown(t, "what is returned", AppendCompleted(nil, &Completed{Key: key, Disposition: Returned, Ending: NotBegun}))
	head := AppendHead(nil, key, 200, 2, []Field{{"a", "b"}}, true)
	shown(t, "a head", append(head, "ok"...))
	shown(t, "data", append(AppendData(nil, key, true), "ok"...))
	shown(t, "credit", AppendCredit(nil, key, 65536))
	shown(t, "stop", AppendStop(nil, key))
}

func TestWhatThePageShowsIsRead(t *testing.T) {
	blocks := page(t)
	find := func(what string, is func(string) bool) []byte {
		for _, block := range blocks {
			if is(block) {
				return []byte(block)
			}
		}
		t.Fatalf("the page shows no %s", what)
		return nil
	}
	hello, err := DecodeFront(find("hello", func(b string) bool { return len(b) == 24 && b[0] == 1 && b[2] == 3 }))
	if err != nil || hello.PID != 4711 || hello.Capacity != 256<<10 || hello.Slots != 65536 || hello.HasDescriptors != 4 {
		t.Errorf("hello: %+v, %v", hello, err)
	}
	connection, err := DecodeFront(find("connection", func(b string) bool { return len(b) == 68 && b[0] == 3 }))
	if err != nil || connection.Facts.Client.String() != "192.0.2.7:4711" || connection.Facts.Local.String() != "[::1]:80" ||
		connection.Facts.AcceptedNS != 42 || connection.Slot != 7 || connection.Generation != 2 {
		t.Errorf("connection: %+v, %v", connection, err)
	}
	var entry FrontEntry
	if err := DecodeEntry(find("request", func(b string) bool { return strings.HasSuffix(b, "\r\n\r\nhe") }), &entry); err != nil {
		t.Fatal(err)
	}
	r := entry.Request
	if entry.Key != key || r.Framing != 5 || string(r.Prefix) != "he" || r.Flags != IsHTTP11|MayKeep ||
		string(r.Head) != "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n" || r.QueuedNS != 2000 ||
		r.Limits.DeadlineNS != Never {
		t.Errorf("request: %+v", entry)
	}
	if err := DecodeEntry(find("ClientGone", func(b string) bool { return len(b) == 16 && b[0] == 2 }), &entry); err != nil || entry.Key != key {
		t.Errorf("ClientGone: %+v, %v", entry, err)
	}
	if err := DecodeEntry(find("Closed", func(b string) bool { return len(b) == 12 && b[0] == 3 }), &entry); err != nil || entry.Key.Slot != 7 {
		t.Errorf("Closed: %+v, %v", entry, err)
	}
}

// Every truncation is an error, and none is more than that.
func TestWhatIsCutShortIsMalformed(t *testing.T) {
	for _, block := range page(t) {
		var entry FrontEntry
		whole := DecodeEntry([]byte(block), &entry)
		for end := range len(block) {
			cut := DecodeEntry([]byte(block[:end]), &entry)
			isData := whole == nil && EntryKind(block[0]) == DataEntry
			if whole == nil && cut == nil && !isData {
				t.Errorf("% x is taken as whole at %d", block, end)
			}
			_, _ = DecodeFront([]byte(block[:end]))
		}
	}
}

func TestTransforms(t *testing.T) {
	step := func(kind, when byte, name, value string) []byte {
		head := []byte{kind, when, byte(len(name)), 0, byte(len(value)), 0}
		return append(append(head, name...), value...)
	}
	decode := func(flags byte, steps ...[]byte) Transforms {
		all := []byte{}
		for _, step := range steps {
			all = append(all, step...)
		}
		c := &cursor{rest: append([]byte{byte(len(all)), byte(len(all) >> 8), flags, 0}, all...)}
		transforms, err := c.transforms()
		if err != nil {
			t.Fatal(err)
		}
		return transforms
	}
	given := []Field{{"A", "1"}, {"B", "2"}, {"a", "3"}}
	for at, row := range []struct {
		t      Transforms
		status int
		want   []Field
	}{
		{decode(0), 200, given},
		{decode(0, step(1, 0, "a", "x")), 200, []Field{{"B", "2"}, {"a", "x"}}},
		{decode(0, step(2, 0, "b", "x")), 200, append(append([]Field{}, given...), Field{"b", "x"})},
		{decode(0, step(3, 0, "A", "")), 200, []Field{{"B", "2"}}},
		{decode(0, step(3, 1, "A", "")), 400, given},
		{decode(0, step(3, 2, "A", "")), 399, given},
		{decode(0, step(3, 0x80, "A", "")), 200, given},
		{decode(1, step(2, 0, "b", "x")), 200, []Field{{"B", "2"}, {"b", "x"}}},
		{decode(1, step(4, 0, "", "b;a"), step(2, 0, "c", "x")), 200, []Field{{"B", "2"}, {"A", "1"}, {"a", "3"}, {"c", "x"}}},
	} {
		if got := row.t.Apply(row.status, given, false); fmt.Sprint(got) != fmt.Sprint(row.want) {
			t.Errorf("%d: %v, not %v", at, got, row.want)
		}
	}
	if !reflect.DeepEqual(given, []Field{{"A", "1"}, {"B", "2"}, {"a", "3"}}) {
		t.Error("what was given was changed")
	}
}

func FuzzEntry(f *testing.F) {
	for _, block := range page(f) {
		f.Add([]byte(block))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var entry FrontEntry
		if DecodeEntry(raw, &entry) == nil && entry.Kind == RequestEntry {
			entry.Request.Transforms.Apply(200, []Field{{"a", "b"}}, false)
		}
	})
}

func FuzzMessage(f *testing.F) {
	for _, block := range page(f) {
		f.Add([]byte(block))
	}
	f.Fuzz(func(t *testing.T, raw []byte) { _, _ = DecodeFront(raw) })
}

func FuzzClient(f *testing.F) {
	f.Add("AA")
	f.Fuzz(func(t *testing.T, value string) { _, _ = DecodeClient(value) })
}
