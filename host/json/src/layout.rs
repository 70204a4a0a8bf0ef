//! JSON laid out for people: line breaks and indentation, and not a character of its strings and
//! numbers changed.

/// Levels that are indented; deeper ones stand under the last.
const INDENTED: usize = 40;

/// A text with line breaks and indentation, at most about `longest` bytes of it, and whether that
/// cut it. What is no JSON is laid out just as well, or as badly.
pub fn laid_out(text: &str, longest: usize) -> (String, bool) {
    let mut shown = String::with_capacity(text.len().min(longest) * 2);
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if shown.len() >= longest {
            return (shown, true);
        }
        if in_string {
            shown.push(c);
            match (c, escaped) {
                (_, true) => escaped = false,
                ('\\', false) => escaped = true,
                ('"', false) => in_string = false,
                _ => {}
            }
            continue;
        }
        match c {
            '"' => {
                in_string = true;
                shown.push(c);
            }
            '{' | '[' => {
                shown.push(c);
                while chars.next_if(|c| c.is_ascii_whitespace()).is_some() {}
                if chars.peek().is_some_and(|next| matches!(next, '}' | ']')) {
                    shown.extend(chars.next());
                } else {
                    depth += 1;
                    line(&mut shown, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut shown, depth);
                shown.push(c);
            }
            ',' => {
                shown.push(c);
                line(&mut shown, depth);
            }
            ':' => shown.push_str(": "),
            c if c.is_ascii_whitespace() => {}
            c => shown.push(c),
        }
    }
    (shown, false)
}

fn line(shown: &mut String, depth: usize) {
    shown.push('\n');
    shown.extend(std::iter::repeat_n("  ", depth.min(INDENTED)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_laid_out_and_nothing_is_changed() {
        let (text, cut) = laid_out(r#"{"a":[1.10,{}, [ ]],"b":"x, y: {\"z\"}\\","c":1e400}"#, 1_000);
        assert!(!cut);
        assert_eq!(
            text,
            "{\n  \"a\": [\n    1.10,\n    {},\n    []\n  ],\n  \"b\": \"x, y: {\\\"z\\\"}\\\\\",\n  \"c\": 1e400\n}"
        );
    }

    #[test]
    fn a_payload_of_ten_megabytes_is_cut_and_any_depth_is_shown() {
        let (text, cut) = laid_out(&format!("[{}]", "1,".repeat(5_000_000)), 10_000);
        assert!(cut && text.len() < 10_100);
        let (text, cut) = laid_out(&"[".repeat(10_000), 1_000_000);
        assert!(!cut || text.len() >= 1_000_000);
    }
}
