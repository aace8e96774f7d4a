//! A Rust file taken apart into code and comments, so that a rule reads only what it is about.
//!
//! Both halves keep the file's lines. Text in string and character literals is in neither.

/// The two halves.
#[derive(Debug)]
pub struct Source {
    /// The file with its comments and the text of its literals left blank.
    pub code: String,
    /// The file with all but its comments left blank.
    pub comments: String,
}

/// Reads a file from left to right.
struct Reader<'a> {
    rest: &'a str,
    code: String,
    comments: String,
}

impl Source {
    /// Takes a file apart.
    pub fn new(text: &str) -> Source {
        let mut reader = Reader { rest: text, code: String::new(), comments: String::new() };
        while let Some(first) = reader.rest.chars().next() {
            match first {
                '/' if reader.rest.starts_with("//") => reader.comment(line_end(reader.rest)),
                '/' if reader.rest.starts_with("/*") => reader.comment(block_end(reader.rest)),
                '"' => reader.literal(1, string_end(&reader.rest[1..])),
                '\'' => reader.quote(),
                first if is_word(first) => reader.word(),
                first => reader.code(first.len_utf8()),
            }
        }
        Source { code: reader.code, comments: reader.comments }
    }
}

impl Reader<'_> {
    /// Takes `length` bytes as code.
    fn code(&mut self, length: usize) {
        let (taken, rest) = self.rest.split_at(length);
        self.code.push_str(taken);
        self.comments.push_str(&blank(taken));
        self.rest = rest;
    }

    /// Takes `length` bytes as a comment.
    fn comment(&mut self, length: usize) {
        let (taken, rest) = self.rest.split_at(length);
        self.code.push_str(&blank(taken));
        self.comments.push_str(taken);
        self.rest = rest;
    }

    /// Takes a literal: `open` bytes of delimiter, which are code, and `length` bytes of text with the closing delimiter.
    fn literal(&mut self, open: usize, length: usize) {
        self.code(open);
        let (taken, rest) = self.rest.split_at(length);
        self.code.push_str(&blank(taken));
        self.comments.push_str(&blank(taken));
        self.rest = rest;
    }

    /// Takes a character literal, or the tick of a lifetime.
    fn quote(&mut self) {
        let mut next = self.rest.char_indices().skip(1);
        match (next.next(), next.next()) {
            (Some((_, '\\')), Some((at, escaped))) => {
                let after = at + escaped.len_utf8();
                let end = self.rest[after..].find('\'').map_or(self.rest.len(), |end| after + end + 1);
                self.literal(1, end - 1);
            }
            (Some(_), Some((at, '\''))) => self.literal(1, at),
            _ => self.code(1),
        }
    }

    /// Takes a word, and the raw string that it may introduce.
    fn word(&mut self) {
        let length = self.rest.find(|next| !is_word(next)).unwrap_or(self.rest.len());
        let raw = matches!(&self.rest[..length], "r" | "br" | "cr");
        self.code(length);
        let hashes = self.rest.len() - self.rest.trim_start_matches('#').len();
        if raw && self.rest[hashes..].starts_with('"') {
            let close = format!("\"{}", "#".repeat(hashes));
            let text = &self.rest[hashes + 1..];
            let end = text.find(&close).map_or(text.len(), |end| end + close.len());
            self.literal(hashes + 1, end);
        }
    }
}

/// Every word of a text (a name, a keyword, a number) with its place in it.
pub fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + text[at..].find(is_word)?;
        let length = text[start..].find(|next| !is_word(next)).unwrap_or(text.len() - start);
        at = start + length;
        Some((start, &text[start..at]))
    })
}

/// The number of the line, counted from 1, that holds a place in a text.
pub fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

/// Where the bracket that opens at `open` closes, or the end of the text.
pub fn closing(text: &str, open: usize) -> usize {
    let mut depth = 0;
    for (at, next) in text[open..].char_indices() {
        match next {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return open + at;
        }
    }
    text.len()
}

/// Blanks for everything but the ends of lines.
fn blank(text: &str) -> String {
    text.chars().map(|character| if character == '\n' { '\n' } else { ' ' }).collect()
}

fn is_word(character: char) -> bool {
    character == '_' || character.is_alphanumeric()
}

/// How long a line comment is.
fn line_end(text: &str) -> usize {
    text.find('\n').unwrap_or(text.len())
}

/// How long a block comment is, with those inside it.
fn block_end(text: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < text.len() {
        let step = match &text.as_bytes()[at..] {
            [b'/', b'*', ..] => {
                depth += 1;
                2
            }
            [b'*', b'/', ..] => {
                depth -= 1;
                2
            }
            _ => 1,
        };
        at += step;
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

/// How long a string is from behind its opening quote, with the closing one.
fn string_end(text: &str) -> usize {
    let mut escaped = false;
    for (at, character) in text.char_indices() {
        match character {
            '"' if !escaped => return at + 1,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The code without blanks at the ends of its lines.
    fn code(text: &str) -> String {
        Source::new(text).code.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn comments_are_no_code() {
        let text = "let a = 1; // todo!()\n/* dbg! /* nested */ still */ let b;";
        assert_eq!(code(text), format!("let a = 1;\n{}let b;", " ".repeat("/* dbg! /* nested */ still */ ".len())));
    }

    #[test]
    fn code_is_no_comment() {
        let source = Source::new("let url = \"// no comment\"; // a comment");
        assert_eq!(source.comments.trim(), "// a comment");
    }

    #[test]
    fn strings_of_every_sort_are_blank() {
        assert_eq!(
            code(r##"f("dbg!", b"dbg!", r"dbg!\", r#"dbg!" "#, c"dbg!", "\"dbg!\\")"##).matches("dbg!").count(),
            0
        );
    }

    #[test]
    fn what_follows_a_literal_is_code() {
        for text in [
            "\"\\\\\" dbg!",
            "r#\"\"\"# dbg!",
            "'\\'' dbg!",
            "'\"' dbg!",
            "'\\u{1f600}' dbg!",
            "b'x' dbg!",
            "&'a str dbg!",
            "r#type dbg!",
        ] {
            assert!(code(text).ends_with(" dbg!"), "{text} read as {}", code(text));
        }
    }

    #[test]
    fn lines_keep_their_numbers() {
        let text = "//! A file.\nconst A: &str = \"one\ntwo\";\n/* three\nfour */\nfn b() {}\n";
        let source = Source::new(text);
        assert_eq!(source.code.lines().position(|line| line.contains("fn b")), Some(5));
        assert_eq!(source.comments.lines().position(|line| line.contains("four")), Some(4));
    }

    #[test]
    fn words_and_brackets_have_places() {
        let text = "if a {\n  b(c)\n}";
        assert_eq!(words(text).map(|(_, word)| word).collect::<Vec<_>>(), ["if", "a", "b", "c"]);
        assert_eq!(words(text).map(|(at, _)| line_of(text, at)).collect::<Vec<_>>(), [1, 1, 2, 2]);
        assert_eq!(closing(text, 5), text.len() - 1);
        assert_eq!(closing("(", 0), 1);
    }

    #[test]
    fn an_unfinished_literal_ends_with_the_file() {
        for text in ["\"open", "r#\"open", "/* open", "'\\", "'", "b'\\x"] {
            assert_eq!(Source::new(text).code.chars().count(), text.chars().count(), "{text}");
        }
    }
}
