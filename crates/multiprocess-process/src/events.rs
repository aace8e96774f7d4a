//! What happens to the children of this process, as events for whoever subscribes to them.
//!
//! All have the target `multiprocess::process` and the level `DEBUG`: whoever started a child hears of it by other means. The end of a child
//! is told by the thread that finds it out; that of a child whose handle was dropped when this process next starts, joins or
//! lists children.

use crate::registry::{Ending, Life};

const TARGET: &str = "multiprocess::process";

/// A child was started.
pub(crate) fn started(life: &Life) {
    let (name, pid, daemon) = (life.name.as_str(), life.pid, life.daemon);
    tracing::debug!(target: TARGET, { child.name = name, child.pid = pid, daemon }, "child started");
}

/// A child has ended.
pub(crate) fn ended(life: &Life, ending: Ending) {
    let (name, pid) = (life.name.as_str(), life.pid);
    let status = match ending {
        Ending::Known(status) => status.to_string(),
        Ending::Unknown => "unknown".to_owned(),
    };
    tracing::debug!(target: TARGET, { child.name = name, child.pid = pid, status }, "child ended");
}
