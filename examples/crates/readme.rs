//! What a README says first: its opening paragraph of prose, as plain text.
//!
//! No files and no Graph: Markdown in, text out.

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

/// A longer paragraph is cut after this many characters.
const LONGEST: usize = 1000;

/// The first paragraph of prose, on one line; `None` if there is none.
///
/// Headings, HTML, lists, quotations, tables and images are no prose, and neither is a row of
/// links, as it stands under the title of many a README.
pub(crate) fn excerpt(markdown: &str) -> Option<String> {
    // With tables known, a table of badges is not taken for a paragraph.
    let mut events = Parser::new_ext(markdown, Options::ENABLE_TABLES);
    let mut depth = 0_usize;
    while let Some(event) = events.next() {
        match event {
            Event::Start(Tag::Paragraph) if depth == 0 => {
                if let Some(prose) = paragraph(&mut events) {
                    return Some(prose);
                }
            }
            Event::Start(_) => depth += 1,
            Event::End(_) => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    None
}

/// Reads to the end of the paragraph that has begun.
fn paragraph<'a>(events: &mut impl Iterator<Item = Event<'a>>) -> Option<String> {
    let mut text = String::new();
    let (mut images, mut links) = (0_usize, 0_usize);
    let mut is_prose = false;
    for event in events {
        match event {
            Event::End(TagEnd::Paragraph) => break,
            Event::Start(Tag::Image { .. }) => images += 1,
            Event::End(TagEnd::Image) => images = images.saturating_sub(1),
            Event::Start(Tag::Link { .. }) => links += 1,
            Event::End(TagEnd::Link) => links = links.saturating_sub(1),
            // The text of an image stands in for it, and belongs to no sentence.
            _ if images > 0 => {}
            Event::Text(part) | Event::Code(part) => {
                is_prose |= links == 0 && part.chars().any(char::is_alphabetic);
                text.push_str(&part);
            }
            Event::SoftBreak | Event::HardBreak => text.push(' '),
            _ => {}
        }
    }
    if !is_prose {
        return None;
    }
    let mut line = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if let Some((end, _)) = line.char_indices().nth(LONGEST) {
        line.truncate(end);
        line.push('…');
    }
    Some(line)
}

#[cfg(test)]
mod tests {
    use super::{LONGEST, excerpt};

    #[test]
    fn the_first_paragraph_is_found_behind_what_is_no_prose() {
        let readme = "\
<p align=\"center\">\n  <img src=\"logo.png\"> <b>Not this</b>\n</p>\n
Name &emsp; [![Build Status]][ci]\n=====\n
[![Crates](https://img.example/v.svg)](https://crates.example) ![Badge](b.svg)\n
[Website](https://a.example) | [Guides](https://b.example)\n
> Quoted words.\n
- A list item\n
  of two paragraphs.\n
| a | b |\n|---|---|\n| c | d |\n
```\nlet code = 1;\n```\n
**Name** is a library for *counting*\n`things`, see [the guide](https://g.example).  \nFast.\n
Second paragraph.\n
[Build Status]: https://ci.example/badge.svg\n[ci]: https://ci.example\n";
        assert_eq!(
            excerpt(readme).as_deref(),
            Some("Name is a library for counting things, see the guide. Fast.")
        );
    }

    #[test]
    fn a_readme_without_prose_has_no_excerpt() {
        for readme in [
            "",
            "   \n\n",
            "# Title\n\n## Usage\n",
            "![only](badge.svg)",
            "[only](https://a.example) · [links](https://b.example)",
            "<div>\n\n<br/>\n\n</div>",
            "1234 --- 5678",
            "```\nunclosed",
            "> quoted only",
            "\0\u{feff}[",
        ] {
            assert_eq!(excerpt(readme), None, "{readme:?}");
        }
    }

    #[test]
    fn prose_among_badges_keeps_its_words_and_other_scripts_count() {
        assert_eq!(
            excerpt("![ci](x.svg) Größe ist 数 &amp; more\nhere").as_deref(),
            Some("Größe ist 数 & more here")
        );
    }

    #[test]
    fn a_long_paragraph_is_cut_between_characters() {
        let excerpt = excerpt(&"ä".repeat(LONGEST + 1)).unwrap();
        assert_eq!(excerpt, "ä".repeat(LONGEST) + "…");
        let whole = "ä".repeat(LONGEST);
        assert_eq!(super::excerpt(&whole), Some(whole));
    }
}
