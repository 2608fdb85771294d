//go:build linux && (amd64 || arm64)

package ostler

import (
	"time"

	"golang.org/x/sys/unix"
)

// The protocol's times are nanoseconds of CLOCK_MONOTONIC, which Go counts too but does not tell.
var clockBase, clockOffset = func() (time.Time, uint64) {
	var now unix.Timespec
	base := time.Now()
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &now)
	return base, uint64(now.Nano())
}()

func monotonicNS() uint64 { return clockOffset + uint64(time.Since(clockBase)) }

// timeOf is a time of the protocol's as Go says it; the zero time for none.
func timeOf(ns uint64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return clockBase.Add(time.Duration(ns - clockOffset))
}
