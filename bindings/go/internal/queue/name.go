//go:build linux

// Package queue is a process' place in a request queue: files in the runtime folder (section 2 of
// docs/delegation-protocol.md).
package queue

import (
	"errors"
	"fmt"
	"math/big"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxCharacters = 260
	maxFolder     = 255
	keptOfFolder  = 221
)

// folderName is the name of a queue's folder.
func folderName(name string) (string, error) {
	switch {
	case name == "":
		return "", errors.New("ostler: the name of a queue is empty")
	case !utf8.ValidString(name):
		return "", fmt.Errorf("ostler: the name of the queue %q is no UTF-8", name)
	case utf8.RuneCountInString(name) > maxCharacters:
		return "", fmt.Errorf("ostler: the name of the queue %q is longer than %d characters", name, maxCharacters)
	}
	var folder strings.Builder
	for at, b := range []byte(lower(name)) {
		switch {
		case b == '.' && at == 0:
			folder.WriteString("%2e")
		case 'a' <= b && b <= 'z', '0' <= b && b <= '9', b == '.', b == '_', b == '-':
			folder.WriteByte(b)
		default:
			fmt.Fprintf(&folder, "%%%02x", b)
		}
	}
	escaped := folder.String()
	if len(escaped) <= maxFolder {
		return escaped, nil
	}
	return escaped[:keptOfFolder] + "%-" + fnv1a128(escaped), nil
}

// lower is Unicode's lower case in full. strings.ToLower goes letter by letter, and is otherwise for two of
// them.
func lower(name string) string {
	var out strings.Builder
	letters := []rune(name)
	for at, letter := range letters {
		switch letter {
		case 'İ':
			out.WriteString("i̇")
		case 'Σ':
			if hasCasedLetter(letters[:at], true) && !hasCasedLetter(letters[at+1:], false) {
				out.WriteRune('ς')
			} else {
				out.WriteRune('σ')
			}
		default:
			out.WriteRune(unicode.ToLower(letter))
		}
	}
	return out.String()
}

// hasCasedLetter says whether the nearest letter that matters to a final sigma has case.
func hasCasedLetter(letters []rune, fromBehind bool) bool {
	for at := range letters {
		letter := letters[at]
		if fromBehind {
			letter = letters[len(letters)-1-at]
		}
		switch {
		case unicode.In(letter, unicode.Mn, unicode.Me, unicode.Cf, unicode.Lm, unicode.Sk), strings.ContainsRune("'.:·’", letter):
		default:
			return unicode.IsUpper(letter) || unicode.IsLower(letter) || unicode.IsTitle(letter)
		}
	}
	return false
}

func fnv1a128(text string) string {
	hash, _ := new(big.Int).SetString("6c62272e07bb014262b821756295c58d", 16)
	prime, _ := new(big.Int).SetString("0000000001000000000000000000013b", 16)
	mask := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 128), big.NewInt(1))
	for _, b := range []byte(text) {
		hash.Xor(hash, big.NewInt(int64(b)))
		hash.And(hash.Mul(hash, prime), mask)
	}
	return fmt.Sprintf("%032x", hash)
}
