//! The failure table: what becomes of an exchange that is with a target when something happens.
//!
//! | seen | in Queued | in Received | in Responding |
//! |---|---|---|---|
//! | completed: keep, close, detached | as it says | the same | the same |
//! | completed: returned | again | again | again |
//! | target died | again | again if no body byte was read and the method is idempotent, else 503 | cut short |
//! | client gone | take back; gone | cancel the handler; gone | the same |
//! | waited too long | take back; 503 | go on | go on |
//! | target stands still | take back; again | go on | go on |
//! | route's timeout over | take back; its status | go on: the target answers | go on: the target closes |
//! | over for two seconds more | take back; gone | cancel the handler; gone | the same |
//! | body too slow | end the body | end the body | end the body |
//!
//! Under a lease, a connection whose target dies between two requests is read on: what the target had received
//! and not begun stands in its journal and is routed anew. So is a request that it had begun, for all that are
//! read under leases are idempotent and without a body: `in_flight.rs` sees to that.
//!
//! *Again* is another instance, or another destination, or to wait. *Take back* may come too late: the
//! target has the request by then, and the row is read once more as received.

use ostler_delegation::handover::{OnTargetDeath, on_target_death};
use ostler_delegation::{Disposition, Stage};

/// What has happened to an exchange that is with a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// The target is done with it.
    Completed(Disposition),
    TargetDied,
    ClientGone,
    /// It has waited in the queue for as long as it may.
    WaitedTooLong,
    /// The target takes nothing, and another could.
    Stalled,
    /// The route's timeout is over.
    TimedOut,
    /// The same, and the target has had time to say so itself.
    Overdue,
    /// The target waits for a body that comes too slowly.
    BodyTooSlow,
}

/// What is done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing: what comes next is waited for.
    GoOn,
    /// The target's end of the client's stream is told to be over, and what comes next is waited for.
    EndBody,
    /// The request is taken back from the target's ring first. If that fails the row of *received*
    /// counts.
    TakeBack(End),
    /// The target is told that nobody waits for its response.
    Cancel,
    /// It is over.
    End(End),
}

/// How an exchange with a target ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Answered; the connection carries on.
    Keep,
    /// Answered, or cut short; the connection is over.
    Close,
    /// The connection is the target's.
    Detached,
    /// The target has given it back untouched: somebody else may begin it.
    Returned,
    /// Nobody has begun it, as far as can be seen: somebody else may.
    Again,
    /// Part of a response was sent, and no more comes.
    CutShort,
    /// The client is gone, and no target has the request.
    ClientGone,
    /// The client is gone, and the target will say so when it has let go.
    Abandoned,
    /// The front answers: nobody took it in time.
    WaitedTooLong,
    /// The front answers: the route's timeout is over.
    TimedOut,
    /// The front answers: the target has died with it.
    TargetDied,
    /// The connection is the front's again, behind exchanges that were told of: it reads on.
    ReadOn,
}

/// Reads the table.
pub(crate) fn verdict(seen: Seen, stage: Stage, method: &str) -> Verdict {
    let is_queued = stage == Stage::Queued;
    match seen {
        Seen::Completed(Disposition::Keep) => Verdict::End(End::Keep),
        Seen::Completed(Disposition::Close) => Verdict::End(End::Close),
        Seen::Completed(Disposition::Detached) => Verdict::End(End::Detached),
        Seen::Completed(Disposition::Returned) => Verdict::End(End::Returned),
        Seen::TargetDied => Verdict::End(match on_target_death(stage, method) {
            OnTargetDeath::Reassign => End::Again,
            OnTargetDeath::Unavailable => End::TargetDied,
            OnTargetDeath::Close => End::CutShort,
            OnTargetDeath::ReadOn => End::ReadOn,
        }),
        Seen::ClientGone | Seen::Overdue if is_queued => Verdict::TakeBack(End::ClientGone),
        Seen::ClientGone | Seen::Overdue => Verdict::Cancel,
        Seen::WaitedTooLong if is_queued => Verdict::TakeBack(End::WaitedTooLong),
        Seen::Stalled if is_queued => Verdict::TakeBack(End::Again),
        Seen::TimedOut if is_queued => Verdict::TakeBack(End::TimedOut),
        Seen::WaitedTooLong | Seen::Stalled | Seen::TimedOut => Verdict::GoOn,
        Seen::BodyTooSlow => Verdict::EndBody,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAGES: [Stage; 3] = [
        Stage::Queued,
        Stage::Received { body_read: false },
        Stage::Responding,
    ];

    /// The rows of this file's documentation, by what was seen, for a GET.
    fn rows() -> [(&'static str, Seen, [Verdict; 3]); 11] {
        use Verdict::{Cancel, EndBody, GoOn, TakeBack};
        let whatever = |end| [Verdict::End(end); 3];
        let completed = Seen::Completed;
        let gone = [TakeBack(End::ClientGone), Cancel, Cancel];
        let unless_taken = |end| [TakeBack(end), GoOn, GoOn];
        let died = [End::Again, End::Again, End::CutShort].map(Verdict::End);
        [
            (
                "completed: keep",
                completed(Disposition::Keep),
                whatever(End::Keep),
            ),
            (
                "completed: close",
                completed(Disposition::Close),
                whatever(End::Close),
            ),
            (
                "completed: detached",
                completed(Disposition::Detached),
                whatever(End::Detached),
            ),
            (
                "completed: returned",
                completed(Disposition::Returned),
                whatever(End::Returned),
            ),
            ("target died", Seen::TargetDied, died),
            ("client gone", Seen::ClientGone, gone),
            (
                "waited too long",
                Seen::WaitedTooLong,
                unless_taken(End::WaitedTooLong),
            ),
            (
                "target stands still",
                Seen::Stalled,
                unless_taken(End::Again),
            ),
            (
                "route's timeout over",
                Seen::TimedOut,
                unless_taken(End::TimedOut),
            ),
            ("over for two seconds more", Seen::Overdue, gone),
            ("body too slow", Seen::BodyTooSlow, [EndBody; 3]),
        ]
    }

    #[test]
    fn each_row_of_the_table_is_obeyed() {
        for (row, seen, expected) in rows() {
            let found = STAGES.map(|stage| verdict(seen, stage, "GET"));
            assert_eq!(found, expected, "{row}");
        }
    }

    #[test]
    fn what_may_have_happened_does_not_happen_again() {
        let died = |stage, method| verdict(Seen::TargetDied, stage, method);
        let (untouched, read) = (
            Stage::Received { body_read: false },
            Stage::Received { body_read: true },
        );
        assert_eq!(died(Stage::Queued, "POST"), Verdict::End(End::Again));
        assert_eq!(died(untouched, "POST"), Verdict::End(End::TargetDied));
        assert_eq!(died(untouched, "PUT"), Verdict::End(End::Again));
        assert_eq!(died(read, "PUT"), Verdict::End(End::TargetDied));
    }

    #[test]
    fn what_cannot_be_taken_back_is_judged_as_received_and_not_taken_back_again() {
        for (row, seen, _) in rows() {
            for body_read in [false, true] {
                let judged = verdict(seen, Stage::Received { body_read }, "GET");
                assert!(!matches!(judged, Verdict::TakeBack(_)), "{row}");
            }
        }
    }

    #[test]
    fn the_documentation_has_these_rows_and_no_others() {
        let source = include_str!("verdict.rs");
        let documented: Vec<_> = source
            .lines()
            .filter_map(|line| line.strip_prefix("//! | ")?.split(" |").next())
            .filter(|row| *row != "seen")
            .collect();
        let [first, rest @ ..] = documented.as_slice() else {
            panic!("no table");
        };
        assert_eq!(*first, "completed: keep, close, detached");
        let rows: Vec<_> = rows()[3..].iter().map(|(row, ..)| *row).collect();
        assert_eq!(rest, rows);
    }
}
