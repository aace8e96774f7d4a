//! A letterbox (a `SOCK_SEQPACKET` pair): many put letters in, none of them ever waits to do so, and one takes them out.
//!
//! A letter is one packet, which the kernel takes and delivers whole, and the letters of one writer come in their order. It follows
//!
//! | Death of | when | then |
//! | --- | --- | --- |
//! | a writer | before its packet is sent | there is no letter |
//! | a writer | after that | the letter is in the box |
//! | the reader | with a letter in its hands | this letter is lost, with all that lie in the box |
//!
//! The slot is one open socket, however many processes have a descriptor of it: so they share its room, and the reader needs no
//! descriptor for each of them.

use super::bundle;
use super::handle::{self, AsHandle as _, BorrowedHandle, OwnedHandle};
use super::kept::Kept;
use super::packet::{self, Failure, Waiting, damaged};
use crate::clock::Deadline;
use crate::{Error, ErrorKind, seam};
use std::io::IoSlice;

/// The longest letter.
pub const LETTER_MAX: usize = 16 << 10;

/// The end that letters are taken from.
#[derive(Debug)]
pub struct Letterbox(Kept);

/// The end that letters are put into; each process that has it may.
#[derive(Debug)]
pub struct Slot(Kept);

/// What was found in a letterbox.
#[derive(Debug, PartialEq, Eq)]
pub enum Taken {
    /// A letter of so many bytes.
    Letter(usize),
    /// Nothing until then.
    Nothing,
    /// Nobody can put anything in any more, or the program has closed the descriptor.
    Closed,
}

impl Letterbox {
    /// A letterbox and its slot.
    ///
    /// # Errors
    ///
    /// Out of descriptors or memory.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_sys::clock::Deadline;
    /// use multiprocess_sys::letterbox::{LETTER_MAX, Letterbox, Taken};
    ///
    /// let (letterbox, slot) = Letterbox::new()?;
    /// assert!(slot.put(b"a letter")?);
    /// let mut buffer = [0; LETTER_MAX];
    /// assert_eq!(letterbox.take(&mut buffer, Deadline::NEVER)?, Taken::Letter(8));
    /// assert_eq!(&buffer[..8], b"a letter");
    /// # Ok::<(), multiprocess_sys::Error>(())
    /// ```
    pub fn new() -> Result<(Letterbox, Slot), Error> {
        let (box_end, slot_end) = bundle::pair()?;
        Ok((Letterbox(Kept::new(box_end)?), Slot(Kept::new(slot_end)?)))
    }

    /// Takes the next letter into `buffer`; waits until `deadline` if there is none.
    ///
    /// # Errors
    ///
    /// What came is no letter: it is too long, or it is empty. It is gone, and the next one comes.
    pub fn take(&self, buffer: &mut [u8; LETTER_MAX], deadline: Deadline) -> Result<Taken, Error> {
        loop {
            let Some(end) = self.0.get() else { return Ok(Taken::Closed) };
            // What handles come with it are closed: a letter has none.
            match packet::receive(&end, buffer, &mut Vec::new(), Waiting::Forbidden) {
                Ok(0) if has_hung_up(end) => return Ok(Taken::Closed),
                Ok(0) => return Err(damaged("it is empty")),
                Ok(bytes) => return Ok(Taken::Letter(bytes)),
                Err(Failure::Nothing) if deadline.has_passed() => return Ok(Taken::Nothing),
                Err(Failure::Nothing) => drop(handle::readable([end], deadline)?),
                Err(Failure::Reset) => return Ok(Taken::Closed),
                Err(Failure::Error(error)) => return Err(error),
            }
        }
    }

    /// Waits until there is something to be taken, or nobody can put anything in any more.
    ///
    /// # Errors
    ///
    /// The program has closed the descriptor.
    pub fn wait(&self) -> Result<(), Error> {
        handle::readable([self.0.get().ok_or_else(closed)?], Deadline::NEVER).map(drop)
    }

    /// How many bytes of letters lie in it.
    ///
    /// # Errors
    ///
    /// The program has closed the descriptor.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_sys::letterbox::Letterbox;
    ///
    /// let (letterbox, slot) = Letterbox::new()?;
    /// slot.put(b"abc")?;
    /// slot.put(b"de")?;
    /// assert_eq!(letterbox.bytes()?, 5);
    /// # Ok::<(), multiprocess_sys::Error>(())
    /// ```
    pub fn bytes(&self) -> Result<u64, Error> {
        let end = self.0.get().ok_or_else(closed)?;
        seam::call("ioctl(FIONREAD)", || rustix::io::ioctl_fionread(end))
            .map_err(|e| Error::os("looking into a letterbox", e))
    }
}

impl Slot {
    /// The slot whose handle came from another process.
    ///
    /// # Errors
    ///
    /// It is the handle of something else.
    pub fn from_foreign(handle: OwnedHandle) -> Result<Slot, Error> {
        if !super::transport::is_message_socket(handle.as_fd()) {
            let text = "taking the slot of a letterbox: the handle is of something else";
            return Err(Error::new(ErrorKind::WrongKind, text));
        }
        Kept::new(handle).map(Slot)
    }

    /// The handle, to give it to another process; `None` if the program has closed it.
    pub fn handle(&self) -> Option<BorrowedHandle<'_>> {
        self.0.get()
    }

    /// Puts a letter in, if there is room. Never waits.
    ///
    /// # Errors
    ///
    /// Nobody reads any more, it is too long, or the program has closed the descriptor.
    ///
    /// # Examples
    ///
    /// ```
    /// let (letterbox, slot) = multiprocess_sys::letterbox::Letterbox::new()?;
    /// while slot.put(&[7; 4096])? {}
    /// drop(letterbox);
    /// assert!(slot.put(b"nobody will read it").is_err());
    /// # Ok::<(), multiprocess_sys::Error>(())
    /// ```
    pub fn put(&self, letter: &[u8]) -> Result<bool, Error> {
        if letter.is_empty() || letter.len() > LETTER_MAX {
            return Err(Error::new(ErrorKind::TooLarge, "putting a letter into a box: it is empty, or too long"));
        }
        let end = self.0.get().ok_or_else(closed)?;
        packet::send(&end, &[IoSlice::new(letter)], &[], Waiting::Forbidden)
    }

    /// Waits until there is plenty of room, or nobody reads any more; `false` if the time was over first.
    ///
    /// # Errors
    ///
    /// The program has closed the descriptor.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_sys::clock::Deadline;
    ///
    /// let (_letterbox, slot) = multiprocess_sys::letterbox::Letterbox::new()?;
    /// assert!(slot.has_room(Deadline::NEVER)?);
    /// # Ok::<(), multiprocess_sys::Error>(())
    /// ```
    pub fn has_room(&self, deadline: Deadline) -> Result<bool, Error> {
        handle::writable(self.0.get().ok_or_else(closed)?, deadline)
    }
}

fn closed() -> Error {
    Error::new(ErrorKind::Closed, "using a letterbox: the program closed its descriptor")
}

/// Whether the other end is closed or shut; an empty letter looks the same to who receives it.
fn has_hung_up(end: BorrowedHandle<'_>) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let asked = PollFlags::RDHUP;
    let mut polled = [PollFd::from_borrowed_fd(end, asked)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    let found = seam::retry("poll", || poll(&mut polled, Some(&now)));
    found.is_err() || polled[0].revents().intersects(asked | PollFlags::HUP)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::SendFlags;

    fn raw(slot: &Slot, bytes: &[u8]) {
        rustix::net::send(slot.handle().unwrap(), bytes, SendFlags::DONTWAIT).unwrap();
    }

    #[test]
    fn what_is_no_letter_is_an_error_and_the_next_one_comes() {
        let (letterbox, slot) = Letterbox::new().unwrap();
        let mut buffer = [0; LETTER_MAX];
        raw(&slot, &[]);
        raw(&slot, &[1; LETTER_MAX + 1]);
        slot.put(&[2; LETTER_MAX]).unwrap();
        for _ in 0..2 {
            assert_eq!(letterbox.take(&mut buffer, Deadline::NEVER).unwrap_err().kind(), ErrorKind::Damaged);
        }
        assert_eq!(letterbox.take(&mut buffer, Deadline::NEVER).unwrap(), Taken::Letter(LETTER_MAX));
        assert_eq!(letterbox.take(&mut buffer, Deadline::now()).unwrap(), Taken::Nothing);
        drop(slot);
        assert_eq!(letterbox.take(&mut buffer, Deadline::NEVER).unwrap(), Taken::Closed);
    }

    #[test]
    fn a_slot_that_somebody_has_shut_is_closed() {
        let (letterbox, slot) = Letterbox::new().unwrap();
        slot.put(b"the last one").unwrap();
        rustix::net::shutdown(slot.handle().unwrap(), rustix::net::Shutdown::Both).unwrap();
        let mut buffer = [0; LETTER_MAX];
        assert_eq!(letterbox.take(&mut buffer, Deadline::NEVER).unwrap(), Taken::Letter(12));
        assert_eq!(letterbox.take(&mut buffer, Deadline::NEVER).unwrap(), Taken::Closed);
    }
}
