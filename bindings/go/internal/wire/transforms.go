package wire

import "strings"

const maxTransforms = 8192

// Transforms are what a route changes of its responses (section 8.1).
type Transforms struct {
	steps                     []step
	headerEmpty, trailerEmpty bool
}

type step struct {
	kind, when  byte
	ofTrailers  bool
	name, value string
}

const (
	stepSet = iota + 1
	stepAppend
	stepRemove
	stepAllow
)

// None says whether there are none.
func (t *Transforms) None() bool {
	return len(t.steps) == 0 && !t.headerEmpty && !t.trailerEmpty
}

// OfTrailers says whether any are of trailers.
func (t *Transforms) OfTrailers() bool {
	if t.trailerEmpty {
		return true
	}
	for _, step := range t.steps {
		if step.ofTrailers {
			return true
		}
	}
	return false
}

func (c *cursor) transforms() (Transforms, error) {
	var t Transforms
	length := int(c.u16())
	flags := c.u8()
	c.skip(1)
	t.headerEmpty, t.trailerEmpty = flags&1 != 0, flags&2 != 0
	steps := &cursor{rest: c.bytes(length)}
	if c.short || length+4 > maxTransforms {
		return t, malformed("response transforms of another length")
	}
	for len(steps.rest) > 0 {
		var s step
		s.kind = steps.u8()
		when := steps.u8()
		s.when, s.ofTrailers = when&0x7F, when&0x80 != 0
		name, value := int(steps.u16()), int(steps.u16())
		s.name, s.value = string(steps.bytes(name)), string(steps.bytes(value))
		if steps.short || !s.isSound() {
			return t, malformed("a step of response transforms")
		}
		t.steps = append(t.steps, s)
	}
	return t, nil
}

func (s *step) isSound() bool {
	if !isValue(s.value) || s.when > 2 {
		return false
	}
	switch s.kind {
	case stepSet, stepAppend:
		return isToken(s.name)
	case stepRemove:
		return isToken(s.name) && s.value == ""
	case stepAllow:
		return s.name == "" && s.when == 0
	}
	return false
}

// Apply does to the fields of a response's head, or of its trailers, what is asked for.
func (t *Transforms) Apply(status int, given []Field, trailers bool) []Field {
	empty := t.headerEmpty
	if trailers {
		empty = t.trailerEmpty
	}
	fields := append([]Field(nil), given...)
	if empty {
		fields = fields[:0]
	}
	allowed := false
	for _, step := range t.steps {
		if step.ofTrailers != trailers || (step.when == 1 && status >= 400) || (step.when == 2 && status < 400) {
			continue
		}
		switch step.kind {
		case stepSet:
			fields = append(Without(fields, step.name), Field{step.name, step.value})
		case stepAppend:
			if empty && !allowed && !has(fields, step.name) {
				fields = append(fields, only(given, step.name)...)
			}
			fields = append(fields, Field{step.name, step.value})
		case stepRemove:
			fields = Without(fields, step.name)
		case stepAllow:
			allowed = true
			for _, name := range strings.Split(step.value, ";") {
				fields = append(fields, only(given, name)...)
			}
		}
	}
	return fields
}

// Without takes all fields of a name away; names compare without case.
func Without(fields []Field, name string) []Field {
	kept := fields[:0]
	for _, field := range fields {
		if !strings.EqualFold(field.Name, name) {
			kept = append(kept, field)
		}
	}
	return kept
}

func only(fields []Field, name string) []Field {
	var found []Field
	for _, field := range fields {
		if strings.EqualFold(field.Name, name) {
			found = append(found, field)
		}
	}
	return found
}

func has(fields []Field, name string) bool {
	for _, field := range fields {
		if strings.EqualFold(field.Name, name) {
			return true
		}
	}
	return false
}
