//! The lines that the test program prints about starts under a plan of faults, and what must hold for each.

/// One start of a child: what came of it, and what was left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Its number, which is the number of the call that failed where one program tries one call after the other.
    pub number: u32,
    /// How often the plan struck in the program itself.
    pub struck: u32,
    /// How often the function ran.
    pub runs: u64,
    /// How many descriptors the program had afterwards.
    pub descriptors: usize,
    /// How many children other than the library's own it had afterwards.
    pub children: usize,
    /// `value V`, `start-error Kind code: text` or `join-error text`.
    pub outcome: String,
}

/// The steps among the lines that a program printed.
///
/// # Examples
///
/// ```
/// let steps = multiprocess_tests::step::steps("calls 7\nstep\t2\t1\t0\t9\t0\tstart-error Os 24: making a socket");
/// assert_eq!(steps[0].error_code(), Some(24));
/// assert!(steps[0].broken_promises().is_empty());
/// ```
///
/// # Panics
///
/// When a line begins as a step does and goes on otherwise.
pub fn steps(printed: &str) -> Vec<Step> {
    let lines = printed.lines().filter_map(|line| line.strip_prefix("step\t"));
    lines.map(|line| parsed(line).unwrap_or_else(|| panic!("this is not a step: {line:?}"))).collect()
}

fn parsed(line: &str) -> Option<Step> {
    let mut fields = line.splitn(6, '\t');
    Some(Step {
        number: fields.next()?.parse().ok()?,
        struck: fields.next()?.parse().ok()?,
        runs: fields.next()?.parse().ok()?,
        descriptors: fields.next()?.parse().ok()?,
        children: fields.next()?.parse().ok()?,
        outcome: fields.next()?.to_owned(),
    })
}

impl Step {
    /// Whether the function's value arrived.
    pub fn has_value(&self) -> bool {
        self.outcome.starts_with("value ")
    }

    /// The operating system's code in the error of the start, if it failed with one.
    pub fn error_code(&self) -> Option<i32> {
        let (_kind, rest) = self.outcome.strip_prefix("start-error ")?.split_once(' ')?;
        rest.split_once(':')?.0.parse().ok()
    }

    /// What must hold after any start, and did not.
    pub fn broken_promises(&self) -> Vec<String> {
        let mut broken = Vec::new();
        if self.runs > 1 {
            broken.push(format!("the function ran {} times", self.runs));
        } else if self.has_value() && self.runs == 0 {
            broken.push("a value came from a function that did not run".to_owned());
        }
        if self.children != 0 {
            broken.push(format!("{} children were left", self.children));
        }
        let text = self.outcome.split_once(' ').map_or("", |(_, text)| text);
        if !self.has_value() && text.len() < 10 {
            broken.push("the error does not say what happened".to_owned());
        }
        broken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_is_read_field_by_field() {
        let steps = steps("noise\nstep\t3\t1\t2\t8\t1\tjoin-error ended: signal: 9\n");
        let expected = Step {
            number: 3,
            struck: 1,
            runs: 2,
            descriptors: 8,
            children: 1,
            outcome: "join-error ended: signal: 9".to_owned(),
        };
        assert_eq!(steps, [expected]);
    }

    #[test]
    fn run_twice_and_a_left_child_are_broken_promises() {
        let step = &steps("step\t3\t1\t2\t8\t1\tvalue 1")[0];
        assert_eq!(step.broken_promises().len(), 2, "{:?}", step.broken_promises());
    }
}
