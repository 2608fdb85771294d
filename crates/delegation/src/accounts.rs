//! Users and groups by name and number, as `/etc/passwd` and `/etc/group` have them.

use std::io;

/// A user's number: the text itself if it is one. `None` if there is no such user.
///
/// # Errors
///
/// When `/etc/passwd` cannot be read.
pub fn uid_of(user: &str) -> io::Result<Option<u32>> {
    number_of(user, "/etc/passwd")
}

/// The group that a user belongs to first. `None` if there is no such user.
///
/// # Errors
///
/// When `/etc/passwd` cannot be read.
pub fn first_group_of(uid: u32) -> io::Result<Option<u32>> {
    let accounts = std::fs::read_to_string("/etc/passwd")?;
    let mut lines = accounts.lines().map(|line| line.split(':'));
    Ok(lines.find_map(|mut columns| {
        let number: u32 = columns.nth(2)?.parse().ok()?;
        let group = columns.next()?.parse().ok()?;
        (number == uid).then_some(group)
    }))
}

/// A group's number: the text itself if it is one. `None` if there is no such group.
///
/// # Errors
///
/// When `/etc/group` cannot be read.
pub fn gid_of(group: &str) -> io::Result<Option<u32>> {
    number_of(group, "/etc/group")
}

/// A user as people know it: `www-data`, or `uid 4711` where nobody has the number.
pub fn user_name(uid: u32) -> String {
    name_of(uid, "/etc/passwd").unwrap_or_else(|| format!("uid {uid}"))
}

/// A group as people know it: `www-data`, or `gid 4711` where none has the number.
pub fn group_name(gid: u32) -> String {
    name_of(gid, "/etc/group").unwrap_or_else(|| format!("gid {gid}"))
}

/// This process' user and groups, for messages: `user ostler (groups ostler, www-data)`.
pub fn own_names() -> String {
    let user = user_name(rustix::process::geteuid().as_raw());
    let mut groups = vec![rustix::process::getegid().as_raw()];
    for group in rustix::process::getgroups().unwrap_or_default() {
        if !groups.contains(&group.as_raw()) {
            groups.push(group.as_raw());
        }
    }
    let groups: Vec<_> = groups.into_iter().map(group_name).collect();
    format!("user {user} (groups {})", groups.join(", "))
}

fn number_of(name: &str, file: &str) -> io::Result<Option<u32>> {
    if let Ok(number) = name.parse() {
        return Ok(Some(number));
    }
    let accounts = std::fs::read_to_string(file)?;
    Ok(find(&accounts, |account, _| account == name).map(|(_, number)| number))
}

fn name_of(number: u32, file: &str) -> Option<String> {
    let accounts = std::fs::read_to_string(file).ok()?;
    find(&accounts, |_, known| known == number).map(|(name, _)| name.to_owned())
}

/// Both files have the name in their first column and the number in their third.
fn find(accounts: &str, wanted: impl Fn(&str, u32) -> bool) -> Option<(&str, u32)> {
    accounts.lines().find_map(|line| {
        let mut columns = line.split(':');
        let name = columns.next()?;
        let number = columns.nth(1)?.parse().ok()?;
        wanted(name, number).then_some((name, number))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_found_by_each_other() {
        let accounts = "root:x:0:0:root:/root:/bin/sh\nbroken\nwww-data:x:33:33::/:\n";
        let by_name = |wanted: &str| find(accounts, |name, _| name == wanted);
        assert_eq!(by_name("www-data"), Some(("www-data", 33)));
        assert_eq!(by_name("broken"), None);
        assert_eq!(find(accounts, |_, number| number == 0), Some(("root", 0)));
        assert_eq!(uid_of("4711").unwrap(), Some(4711));
        assert_eq!(gid_of("no such group").unwrap(), None);
        assert_eq!(first_group_of(0).unwrap(), Some(0));
        assert_eq!(first_group_of(u32::MAX - 7).unwrap(), None);
        assert_eq!(user_name(u32::MAX - 7), "uid 4294967288");
    }
}
