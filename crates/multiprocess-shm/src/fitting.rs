//! Segments that are as long as a process may map, where shorter ones would do too.

use crate::{Segment, Shape};
use multiprocess_sys::{Error, ErrorKind, map};

impl Segment {
    /// An anonymous segment of the first of `shapes`, from the longest to the shortest, that this process may map. If it may map only
    /// so much (RLIMIT_AS, setrlimit(2)), those that take more than that divided by `parts` are passed over, so that there is some
    /// for others; but for the last one.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_shm::{Segment, Shape};
    ///
    /// let shapes = [1 << 60, 1 << 30].map(|length| Shape { kind: 7, length, reserved: 8, parameters: [0; 4] });
    /// let segment = Segment::anonymous_where_it_fits(shapes, 16)?; // no processor of today has room for the first one
    /// assert_eq!(segment.shape().length, 1 << 30);
    /// # Ok::<(), multiprocess_sys::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`anonymous`](Self::anonymous), where a shorter one would not help; or there are no shapes.
    ///
    /// # Crash
    ///
    /// Nothing is left of it when the last process is gone that has it.
    pub fn anonymous_where_it_fits(shapes: impl IntoIterator<Item = Shape>, parts: u64) -> Result<Segment, Error> {
        let most = map::space_limit().map_or(u64::MAX, |limit| limit / parts);
        let mut shapes = shapes.into_iter().peekable();
        while let Some(shape) = shapes.next() {
            let is_last = shapes.peek().is_none();
            if shape.length > most && !is_last {
                continue;
            }
            match Segment::anonymous(shape, |_| ()) {
                Err(error) if !is_last && map::is_too_long(&error, shape.length) => {}
                made => return made,
            }
        }
        Err(Error::new(ErrorKind::TooLarge, "making shared memory of no size"))
    }
}
