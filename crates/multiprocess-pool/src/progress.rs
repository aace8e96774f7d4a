//! The bar of a call: how many of its items are done, drawn while it runs.
//!
//! The caller's thread counts, once for all items that it takes in at a time, so that a bar costs as many additions as there are
//! batches; the bar itself draws a few times in a second and only on a terminal. Without the feature `progress`, and in a call
//! that has not asked for a bar, there is nothing to count.

#[cfg(feature = "progress")]
pub(crate) use drawn::{Progress, Wish};
#[cfg(not(feature = "progress"))]
pub(crate) use nothing::{Progress, Wish};

#[cfg(feature = "progress")]
mod drawn {
    use indicatif::{ProgressBar, ProgressFinish, ProgressStyle};
    use std::time::Duration;

    /// For a number of items that is known, and for one that is not.
    const BAR: &str = "{bar:40} {pos}/{len} [{elapsed_precise} < {eta_precise}, {per_sec}]";
    const SPINNER: &str = "{spinner} {pos} [{elapsed_precise}, {per_sec}]";

    /// How often the time is drawn anew while no item comes to its end.
    const TICK: Duration = Duration::from_millis(200);

    /// Which bar a call is to have.
    #[derive(Debug, Clone, Copy, Default)]
    pub(crate) enum Wish<'a> {
        /// None.
        #[default]
        Nothing,
        /// One that is made for the call.
        Usual,
        /// The caller's own.
        Own(&'a ProgressBar),
    }

    /// The bar of one call, if it has one.
    #[derive(Debug, Default)]
    pub(crate) struct Progress {
        bar: Option<ProgressBar>,
        is_usual: bool,
    }

    impl Progress {
        /// For a call with so many items, as an iterator says it.
        pub(crate) fn begin(wish: Wish<'_>, (least, most): (usize, Option<usize>)) -> Progress {
            let bar = match wish {
                Wish::Nothing => return Progress::default(),
                Wish::Usual => ProgressBar::no_length().with_finish(ProgressFinish::AndLeave),
                Wish::Own(bar) => bar.clone(),
            };
            let is_usual = matches!(wish, Wish::Usual);
            if is_usual {
                bar.set_style(style(SPINNER, ProgressStyle::default_spinner));
                if !bar.is_hidden() {
                    bar.enable_steady_tick(TICK);
                }
            }
            let progress = Progress { bar: Some(bar), is_usual };
            if Some(least) == most {
                progress.set_total(least as u64);
            }
            progress
        }

        /// So many items more are done.
        #[inline]
        pub(crate) fn add(&self, items: u64) {
            if let Some(bar) = &self.bar {
                bar.inc(items);
            }
        }

        /// Now it is known how many items there are.
        pub(crate) fn set_total(&self, items: u64) {
            let Some(bar) = self.bar.as_ref().filter(|bar| bar.length().is_none()) else { return };
            if self.is_usual {
                bar.set_style(style(BAR, ProgressStyle::default_bar));
            }
            bar.set_length(items);
        }

        /// All is done.
        pub(crate) fn finish(&mut self) {
            if let Some(bar) = self.bar.take().filter(|bar| !bar.is_finished()) {
                bar.finish_using_style();
            }
        }

        /// The call has failed, or nobody wants the rest: the bar stays where it is.
        pub(crate) fn abandon(&mut self) {
            if let Some(bar) = self.bar.take().filter(|bar| !bar.is_finished()) {
                bar.abandon();
            }
        }
    }

    impl Drop for Progress {
        fn drop(&mut self) {
            self.abandon();
        }
    }

    fn style(template: &str, otherwise: fn() -> ProgressStyle) -> ProgressStyle {
        ProgressStyle::with_template(template).unwrap_or_else(|_| otherwise())
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn the_usual_styles_can_be_read() {
            for template in [BAR, SPINNER] {
                assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
            }
        }

        #[test]
        fn a_total_that_becomes_known_late_is_shown_and_one_that_was_chosen_stays() {
            let bar = ProgressBar::hidden();
            bar.unset_length();
            let progress = Progress::begin(Wish::Own(&bar), (0, None));
            assert_eq!(bar.length(), None);
            progress.set_total(7);
            progress.set_total(8);
            assert_eq!(bar.length(), Some(7));
        }
    }
}

#[cfg(not(feature = "progress"))]
mod nothing {
    use std::marker::PhantomData;

    /// No call has a bar.
    #[derive(Debug, Clone, Copy, Default)]
    pub(crate) struct Wish<'a>(PhantomData<&'a ()>);

    /// No bar.
    #[derive(Debug)]
    pub(crate) struct Progress;

    impl Progress {
        #[inline(always)]
        pub(crate) fn begin(_: Wish<'_>, _: (usize, Option<usize>)) -> Progress {
            Progress
        }

        #[inline(always)]
        pub(crate) fn add(&self, _: u64) {}

        #[inline(always)]
        pub(crate) fn set_total(&self, _: u64) {}

        #[inline(always)]
        pub(crate) fn finish(&mut self) {}

        #[inline(always)]
        pub(crate) fn abandon(&mut self) {}
    }
}
