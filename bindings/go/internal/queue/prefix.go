//go:build linux

package queue

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"unicode"
)

// NormalPrefix is a URL prefix as it is registered and compared: `scheme://host:port/path/`.
func NormalPrefix(given string) (string, error) {
	invalid := func(why string) (string, error) {
		return "", fmt.Errorf("ostler: the URL prefix %q is none: %s", given, why)
	}
	scheme, rest, ok := strings.Cut(lower(given), "://")
	port := "80"
	switch {
	case !ok:
		return invalid("it lacks ://")
	case scheme == "https":
		port = "443"
	case scheme != "http":
		return invalid("its scheme is neither http nor https")
	}
	authority, path, _ := strings.Cut(rest, "/")
	if strings.ContainsAny(path, "?#*") {
		return invalid("its path holds ?, # or *")
	}
	host := authority
	if end := strings.LastIndexByte(authority, ']'); strings.HasPrefix(authority, "[") {
		address, err := netip.ParseAddr(strings.Trim(authority[:end+1], "[]"))
		if end < 0 || err != nil || !address.Is6() {
			return invalid("its IPv6 address is none")
		}
		host = "[" + address.String() + "]"
		authority = authority[end+1:]
		if authority != "" && authority[0] != ':' {
			return invalid("something other than a port follows its IPv6 address")
		}
	} else {
		host, _, _ = strings.Cut(authority, ":")
		authority = authority[len(host):]
	}
	if authority != "" {
		port = authority[1:]
		number, err := strconv.ParseUint(port, 10, 16)
		if err != nil || number == 0 || strconv.FormatUint(number, 10) != port {
			return invalid("its port is not a number from 1 to 65535 without leading zeros")
		}
	}
	if why := wrongHost(host); why != "" {
		return invalid(why)
	}
	if path != "" && !strings.HasSuffix(path, "/") {
		path += "/"
	}
	return scheme + "://" + host + ":" + port + "/" + path, nil
}

func wrongHost(host string) string {
	switch {
	case host == "":
		return "its host is empty"
	case host == "+", host == "*", host[0] == '[':
		return ""
	case strings.Contains(host, "xn--"):
		return "its host is in Punycode; write it in Unicode"
	}
	for _, label := range strings.Split(strings.TrimPrefix(host, "*."), ".") {
		other := func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsNumber(r) && r != '-' && r != '_' }
		if label == "" || strings.ContainsFunc(label, other) {
			return "its host is not a name, an IP address, + or *"
		}
	}
	return ""
}
