//! Links between the pages.

use crate::repository::{files, pattern, root, shown, text};

#[test]
fn links_lead_to_files_and_headings_that_exist() {
    let link = pattern(r"\]\(([^)\s]+)\)");
    let mut pages = files(&root().join("docs"), "md");
    for page in ["README.md", "CONTRIBUTING.md", "SECURITY.md"] {
        pages.push(root().join(page));
    }
    let mut followed = 0;
    for page in pages {
        for link in link.captures_iter(&text(&page)) {
            let (path, anchor) = link[1].split_once('#').unwrap_or((&link[1], ""));
            if path.contains("://") || path.starts_with("mailto:") {
                continue;
            }
            followed += 1;
            let target = if path.is_empty() {
                page.clone()
            } else {
                page.with_file_name(path)
            };
            assert!(
                target.exists(),
                "{}: {} leads nowhere",
                shown(&page),
                &link[1]
            );
            let is_page = target.extension().is_some_and(|it| it == "md");
            assert!(
                anchor.is_empty()
                    || !is_page
                    || anchors(&text(&target)).contains(&anchor.to_owned()),
                "{}: there is no heading {anchor} in {}",
                shown(&page),
                shown(&target)
            );
        }
    }
    assert!(followed > 10, "only {followed} links were found");
}

/// The anchors of a page's headings: lower case, blanks as hyphens, without punctuation.
fn anchors(page: &str) -> Vec<String> {
    let mut code = false;
    let mut anchors = Vec::new();
    for line in page.lines() {
        code ^= line.starts_with("```");
        if code || !line.starts_with('#') {
            continue;
        }
        let heading = line.trim_start_matches('#').trim().to_lowercase();
        let kept = heading
            .chars()
            .filter(|it| it.is_alphanumeric() || matches!(it, ' ' | '-' | '_'));
        anchors.push(kept.map(|it| if it == ' ' { '-' } else { it }).collect());
    }
    anchors
}
