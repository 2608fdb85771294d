//! What the system says of this process.

use std::fs;

use ostler_proxy::metrics::{Description, Family, Kind, Value};

static CPU: Description = Description {
    name: "process.cpu.time",
    kind: Kind::Counter,
    unit: "s",
    help: "CPU time that the process has used, by itself and in the system",
    attributes: &["cpu.mode"],
};

static MEMORY: Description = Description {
    name: "process.memory.usage",
    kind: Kind::Gauge,
    unit: "By",
    help: "Memory that the process has, shared pages included",
    attributes: &[],
};

static DESCRIPTORS: Description = Description {
    name: "process.unix.file_descriptor.count",
    kind: Kind::Gauge,
    unit: "{file_descriptor}",
    help: "Open file descriptors of the process",
    attributes: &[],
};

static UPTIME: Description = Description {
    name: "process.uptime",
    kind: Kind::Gauge,
    unit: "s",
    help: "How long the process has been running",
    attributes: &[],
};

/// All of them.
#[cfg(test)]
pub(super) static ALL: [&Description; 4] = [&CPU, &MEMORY, &DESCRIPTORS, &UPTIME];

/// As they are now; what the system does not say is left out.
pub(super) fn families() -> Vec<Family> {
    let times = times();
    let cpu = times.map(|times| {
        let mode = |name: &'static str| vec![("cpu.mode", name.into())];
        let points = [("user", times.user), ("system", times.system)];
        Family::new(
            &CPU,
            points.map(|(name, time)| (mode(name), Value::Number(time))),
        )
    });
    let memory = resident().map(|bytes| Family::single(&MEMORY, Value::Number(bytes)));
    // One is open to count them.
    let open = fs::read_dir("/proc/self/fd").ok().map(Iterator::count);
    let open = open.map(|count| Value::Number(count.saturating_sub(1) as f64));
    let open = open.map(|count| Family::single(&DESCRIPTORS, count));
    let uptime = times.and_then(|times| Some(up()? - times.started));
    let uptime = uptime.map(|time| Family::single(&UPTIME, Value::Number(time.max(0.0))));
    [cpu, memory, open, uptime].into_iter().flatten().collect()
}

/// In seconds; the start since the system's.
#[derive(Debug, Clone, Copy)]
struct Times {
    user: f64,
    system: f64,
    started: f64,
}

fn times() -> Option<Times> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The program's name, which comes before, may have blanks in it.
    let (_, fields) = stat.rsplit_once(") ")?;
    let fields: Vec<_> = fields.split_ascii_whitespace().collect();
    // proc(5) counts from 1, and the first that is left is its third.
    let seconds = |number: usize| -> Option<f64> {
        let ticks: f64 = fields.get(number - 3)?.parse().ok()?;
        Some(ticks / rustix::param::clock_ticks_per_second() as f64)
    };
    Some(Times {
        user: seconds(14)?,
        system: seconds(15)?,
        started: seconds(22)?,
    })
}

fn resident() -> Option<f64> {
    let statm = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: f64 = statm.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as f64)
}

/// For how long the system has been up.
fn up() -> Option<f64> {
    let uptime = fs::read_to_string("/proc/uptime").ok()?;
    uptime.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_says_all_of_it() {
        let families = families();
        let descriptions: Vec<_> = families.iter().map(|family| family.description).collect();
        assert_eq!(descriptions, ALL);
        let value = |of: &Description| {
            let family = families
                .iter()
                .find(|family| family.description == of)
                .unwrap();
            match family.points[0].value {
                Value::Number(number) => number,
                ref other => panic!("{other:?}"),
            }
        };
        assert!(value(&MEMORY) > 100_000.0);
        assert!(value(&DESCRIPTORS) >= 3.0);
        assert!(value(&UPTIME) < up().unwrap());
    }
}
