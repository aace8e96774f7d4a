//! What the command line asks for.

use crate::placement::Placement;

/// The argument that makes this program the small process that forks.
pub(crate) const FORKER: &str = "--forker";

/// The argument that makes this program measure in the placement that follows.
const PLACED: &str = "--placed";

/// What this run of the program is for.
pub(crate) enum Role {
    /// To run the program again for each placement.
    All,
    /// To measure in this placement.
    Placed(Placement),
    /// To fork when asked.
    Forker,
}

/// What is measured, and how long.
#[derive(Default)]
pub(crate) struct Options {
    /// Few samples: to see that it runs, not to judge by.
    pub(crate) quick: bool,
    /// One target by its number, such as `P1`; all without it.
    pub(crate) only: Option<String>,
    /// One placement; all without it.
    pub(crate) placement: Option<Placement>,
}

impl Options {
    pub(crate) fn parse(mut arguments: impl Iterator<Item = String>) -> Result<(Role, Self), String> {
        let mut options = Options::default();
        let mut role = Role::All;
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
            match argument.as_str() {
                "--quick" => options.quick = true,
                "--only" => options.only = Some(known(value()?)?),
                "--placement" => options.placement = Some(value()?.parse()?),
                PLACED => role = Role::Placed(value()?.parse()?),
                FORKER => role = Role::Forker,
                _ => return Err(format!("unknown argument {argument:?}: --quick, --only P1, --placement same")),
            }
        }
        Ok((role, options))
    }

    /// Returns the arguments that measure the same in one placement.
    pub(crate) fn for_placement(&self, placement: Placement) -> Vec<String> {
        let mut arguments = vec![PLACED.to_owned(), placement.to_string()];
        if self.quick {
            arguments.push("--quick".to_owned());
        }
        if let Some(only) = &self.only {
            arguments.extend(["--only".to_owned(), only.clone()]);
        }
        arguments
    }

    pub(crate) fn wants(&self, target: &str) -> bool {
        self.only.as_deref().is_none_or(|only| only == target)
    }
}

fn known(target: String) -> Result<String, String> {
    match target.as_str() {
        "P1" | "P2" | "P3" | "P4" | "P5" | "P6" | "P7" | "P8" | "P9" | "P10" | "P11" => Ok(target),
        _ => Err(format!("nothing here measures {target:?}: P1 to P11")),
    }
}
