//! Rows as columns without frames, measured as a terminal shows them: escape sequences take no room, wide characters take
//! two cells.
//!
//! Where the width is known, cells are broken between words until a row fits, the widest columns first. A row that cannot
//! fit stays as it is. What is in a cell cannot move the cursor: control characters are shown as text, except for colors
//! around a whole cell, which [`Paint`](crate::output::Paint) puts there.

use console::measure_text_width;

/// The end of every color.
const RESET: &str = "\u{1b}[0m";
/// Cells between two columns.
const GAP: usize = 2;
/// A column in which cells are broken is not made narrower than that, so that words stay legible.
const BROKEN_MIN: usize = 10;
/// A longer word is broken as soon as there is too little room, such as a digest; a shorter one only if nothing else helps.
const WHOLE_MAX: usize = 40;
/// A cell is filled up with blanks to at most so many, so that one long cell does not make every row as long.
const FILLED_MAX: usize = 200;
/// After these a long word may be broken.
const BREAKS: [char; 9] = [':', '/', '-', '_', '.', ',', ';', '=', '|'];

/// Rows as columns, each line with `indent` in front; no wider than `width` if possible.
pub(crate) fn columns(rows: impl IntoIterator<Item = Vec<String>>, indent: &str, width: Option<usize>) -> String {
    let rows: Vec<Vec<Cell>> = rows.into_iter().map(|row| row.iter().map(|text| Cell::new(text)).collect()).collect();
    let widths = widths(&rows, width.map(|width| width.saturating_sub(indent.len())));
    let mut text = String::new();
    for row in &rows {
        let cells: Vec<Vec<String>> = row.iter().zip(&widths).map(|(cell, width)| cell.lines(*width)).collect();
        for number in 0..cells.iter().map(Vec::len).max().unwrap_or(0) {
            let mut line = indent.to_owned();
            for ((cell, lines), width) in row.iter().zip(&cells).zip(&widths) {
                let part = lines.get(number).map_or("", String::as_str);
                line.push_str(&cell.styled(part));
                line.extend(std::iter::repeat_n(
                    ' ',
                    (*width).min(FILLED_MAX).saturating_sub(measure_text_width(part)) + GAP,
                ));
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
    }
    text
}

/// The first names of a list, and how many more there are.
pub(crate) fn few(names: &[String]) -> String {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    cloacina_packager::draw::few(&names, " (--output json has all)")
}

/// A text as a terminal may have it: what somebody else wrote must not move the cursor. Further lines are indented.
pub(crate) fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.trim_end().chars() {
        match character {
            '\n' => shown.push_str("\n    "),
            '\t' => shown.push(character),
            _ if character.is_control() => shown.extend(character.escape_default()),
            _ => shown.push(character),
        }
    }
    shown
}

/// The beginning of a text that fills at most so many cells of a terminal; colors are kept.
pub(crate) fn cut(text: &str, width: usize) -> String {
    console::truncate_str(text, width, "…").into_owned()
}

/// What stands in one row of one column.
struct Cell {
    /// The escape sequence in front of the whole text, and the one after it.
    style: (String, String),
    /// The lines that it has by itself, without escape sequences.
    lines: Vec<String>,
}

impl Cell {
    fn new(text: &str) -> Self {
        let (style, text) = match around(text) {
            Some((before, inner, after)) => ((before.to_owned(), after.to_owned()), inner),
            None => (Default::default(), text),
        };
        let line = |line: &str| {
            let mut shown = String::with_capacity(line.len());
            for character in line.chars() {
                match character {
                    '\t' => shown.push(' '),
                    _ if character.is_control() => shown.extend(character.escape_default()),
                    _ => shown.push(character),
                }
            }
            shown
        };
        Self { style, lines: text.trim_end_matches(['\n', '\r']).lines().map(line).collect() }
    }

    fn width(&self) -> usize {
        self.lines.iter().map(|line| measure_text_width(line)).max().unwrap_or(0)
    }

    /// Whether it is made of words, or too long to be kept whole.
    fn is_breakable(&self) -> bool {
        self.lines.iter().any(|line| line.contains(' ')) || self.width() > WHOLE_MAX
    }

    /// Its lines, none of which is wider than that.
    fn lines(&self, width: usize) -> Vec<String> {
        self.lines.iter().flat_map(|line| broken(line, width)).collect()
    }

    fn styled(&self, part: &str) -> String {
        match part {
            "" => String::new(),
            part => format!("{}{part}{}", self.style.0, self.style.1),
        }
    }
}

/// Takes the colors off that are around a whole text.
fn around(text: &str) -> Option<(&str, &str, &str)> {
    let inner = text.strip_suffix(RESET)?;
    let mut begin = 0;
    while let Some(rest) = inner[begin..].strip_prefix("\u{1b}[") {
        let end = rest.find('m').filter(|end| rest[..*end].bytes().all(|one| one.is_ascii_digit() || one == b';'))?;
        begin += "\u{1b}[".len() + end + 1;
    }
    (begin > 0).then(|| (&text[..begin], &inner[begin..], RESET))
}

/// How wide each column is.
fn widths(rows: &[Vec<Cell>], available: Option<usize>) -> Vec<usize> {
    let n_columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let natural = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(Cell::width).max().unwrap_or(0);
    let mut widths: Vec<usize> = (0..n_columns).map(natural).collect();
    let Some(available) = available else { return widths };
    // A column without any text takes no room at the end of a line.
    let n_gaps = widths.iter().rposition(|width| *width > 0).unwrap_or(0);
    let room = available.saturating_sub(n_gaps * GAP);
    let is_breakable = |column: usize| rows.iter().filter_map(|row| row.get(column)).any(Cell::is_breakable);
    let breakable: Vec<bool> = (0..n_columns).map(is_breakable).collect();
    for may_shrink in [breakable, vec![true; n_columns]] {
        if let Some(narrower) = narrowed(&widths, &may_shrink, room) {
            widths = narrower;
            break;
        }
    }
    widths
}

/// The widths, of which those that may shrink are made so narrow that all have room; none if they cannot be.
fn narrowed(widths: &[usize], may_shrink: &[bool], room: usize) -> Option<Vec<usize>> {
    let mut widths = widths.to_vec();
    let mut over = widths.iter().sum::<usize>().saturating_sub(room);
    while over > 0 {
        // The widest come down to the next narrower one, together.
        let shrinking =
            || may_shrink.iter().enumerate().filter(|(_, may_shrink)| **may_shrink).map(|(column, _)| column);
        let widest = shrinking().map(|column| widths[column]).filter(|width| *width > BROKEN_MIN).max()?;
        let next = shrinking().map(|column| widths[column]).filter(|width| *width < widest).max();
        let step = widest - next.unwrap_or(BROKEN_MIN).max(BROKEN_MIN);
        let columns: Vec<usize> = shrinking().filter(|column| widths[*column] == widest).collect();
        let step = step.min(over.div_ceil(columns.len()));
        for column in columns {
            let taken = step.min(over);
            widths[column] -= taken;
            over -= taken;
        }
    }
    Some(widths)
}

/// The line in parts that are not wider than that.
fn broken(line: &str, width: usize) -> Vec<String> {
    let mut parts = Vec::new();
    let mut rest = line;
    while measure_text_width(rest) > width {
        let (mut fits, mut good, mut word) = (0, 0, 0);
        let mut taken = 0;
        for (place, character) in rest.char_indices() {
            taken += measure_text_width(character.encode_utf8(&mut [0; 4]));
            let after = place + character.len_utf8();
            if character == ' ' && taken <= width + 1 && place > 0 {
                good = place;
            }
            if taken > width {
                break;
            }
            fits = after;
            if BREAKS.contains(&character) {
                word = after;
            }
        }
        // Where nothing fits, a character is wider than the column.
        let first = rest.chars().next().map_or(0, char::len_utf8);
        let end = [good, word, fits.max(first)].into_iter().find(|end| *end > 0).unwrap_or(rest.len());
        parts.push(rest[..end].trim_end().to_owned());
        rest = rest[end..].trim_start();
    }
    parts.push(rest.to_owned());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cells: &[&str]) -> Vec<String> {
        cells.iter().map(|cell| (*cell).to_owned()).collect()
    }

    #[test]
    fn colors_take_no_room() {
        let rows = [row(&["task", "state", "time"]), row(&["a", "\u{1b}[32m\u{1b}[1mok\u{1b}[0m", "1 s"])];
        let text = columns(rows.clone(), "", None);
        assert_eq!(console::strip_ansi_codes(&text), "task  state  time\na     ok     1 s\n");
        let rows = [rows[0].clone(), row(&["a", "\u{1b}[1;32mok\u{1b}[0m", "1 s"])];
        assert_eq!(columns(rows, "", None), "task  state  time\na     \u{1b}[1;32mok\u{1b}[0m     1 s\n");
    }

    #[test]
    fn what_a_table_costs_goes_with_what_is_in_it() {
        let names: Vec<String> = (0..10_000).map(|number| format!("task_{number}")).collect();
        assert!(few(&names).ends_with("task_19 and 9980 more (--output json has all)"));
        assert_eq!(few(&names[..3]), "task_0, task_1, task_2");
        let rows = names.iter().map(|name| vec![name.clone(), String::new(), "x".to_owned()]);
        let long = vec!["last".to_owned(), names.join(", "), "y".to_owned()];
        assert!(columns(rows.chain([long]), "", None).len() < 10_000 * 300);
    }

    #[test]
    fn wide_characters_take_two_cells() {
        assert_eq!(columns([row(&["日本", "x"]), row(&["a", "y"])], "", None), "日本  x\na     y\n");
    }

    #[test]
    fn what_somebody_wrote_cannot_steer_the_terminal() {
        assert_eq!(printable("a\tb\u{1b}[2J\nc\r\n"), "a\tb\\u{1b}[2J\n    c");
        assert_eq!(columns([row(&["a\u{1b}[2Jb\rc", "d"])], "", None), "a\\u{1b}[2Jb\\rc  d\n");
    }

    #[test]
    fn lines_of_a_cell_stay_in_its_column() {
        assert_eq!(columns([row(&["a", "one\ntwo\n"]), row(&["b", ""])], "  ", None), "  a  one\n     two\n  b\n");
    }

    #[test]
    fn a_row_that_is_too_wide_is_broken_between_words() {
        let rows = [row(&["task", "failed", "the printer has no paper left"])];
        assert_eq!(columns(rows.clone(), "", Some(30)), "task  failed  the printer has\n              no paper left\n");
        for width in 24..60 {
            let text = columns(rows.clone(), "", Some(width));
            assert!(text.lines().all(|line| measure_text_width(line) <= width), "{width}\n{text}");
            let words: Vec<&str> = text.split_whitespace().collect();
            assert_eq!(words.join(" "), "task failed the printer has no paper left".to_owned());
        }
    }

    #[test]
    fn names_and_moments_are_kept_whole_as_long_as_something_else_can_be_broken() {
        let rows = [row(&["2026-11-30T00:09:43.780617Z", "the printer has no paper left"])];
        let text = columns(rows, "", Some(42));
        assert!(text.lines().count() > 2 && text.starts_with("2026-11-30T00:09:43.780617Z  the "), "{text}");
    }

    #[test]
    fn a_word_without_end_is_broken_after_what_divides_it() {
        assert_eq!(broken("public::simple_demo::data_processing", 22), ["public::simple_demo::", "data_processing"]);
        assert_eq!(broken("abcdefghij", 4), ["abcd", "efgh", "ij"]);
        assert_eq!(broken("日本日本", 3), ["日", "本", "日", "本"]);
    }
}
