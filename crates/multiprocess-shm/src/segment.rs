//! A segment: a piece of memory that processes share, of which each knows who else is attached and lives.

use crate::attachments::{self, Cell};
use crate::copying::{append_bytes, load_bytes, store_bytes};
use crate::mappings::Mappings;
use crate::named;
use crate::slots::Table;
use multiprocess_core::Owner;
use multiprocess_core::layout::Header;
use multiprocess_sys::handle::{AsHandle, Identity, OwnedHandle};
use multiprocess_sys::kept::Kept;
use multiprocess_sys::map;
use multiprocess_sys::names::Entry;
use multiprocess_sys::{Error, ErrorKind, byte_lock};
use std::collections::TryReserveError;
use std::fmt;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64};

/// What a segment is for, and how large it is.
///
/// # Examples
///
/// ```
/// use multiprocess_shm::{Segment, Shape};
///
/// let shape = Shape { kind: 7, length: 4096, reserved: 4096, parameters: [0; 4] };
/// assert_eq!(Segment::anonymous(shape, |_| {})?.shape(), &shape);
/// # Ok::<(), multiprocess_sys::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// What lies in the payload: a number that its users agree on.
    pub kind: u32,
    /// The length of the payload in bytes. Bytes that nobody has reserved cost nothing.
    pub length: u64,
    /// How many bytes at the beginning of the payload are really there as soon as the segment is.
    pub reserved: u64,
    /// Four numbers whose meaning belongs to the kind.
    pub parameters: [u64; 4],
}

/// Memory that processes share. A clone is another handle to the same attachment; the process leaves with its last one.
///
/// An anonymous segment travels to another process as a handle, in arguments and messages, and goes with its last user. One
/// with a name can also be opened by it.
///
/// # Examples
///
/// ```
/// use multiprocess_core::Environment;
/// use multiprocess_shm::{Segment, Shape};
///
/// let name = format!("example-{}", std::process::id());
/// let shape = Shape { kind: 7, length: 100, reserved: 100, parameters: [1, 2, 3, 4] };
/// let made = Segment::create(&name, shape, |_| {})?;
/// let opened = Segment::open(&name, |found| {
///     assert_eq!(found, &shape);
///     Ok(())
/// })?;
/// assert!(made.is_same(&opened) && opened.is_alive(made.me()));
/// # Ok::<(), multiprocess_sys::Error>(())
/// ```
///
/// # Crash
///
/// The others see at once that this process is dead, by its slot; what it wrote stays as it was. A name whose last user was
/// killed is free: who opens it finds nothing, who creates it makes it anew.
///
/// # Platform
///
/// On Linux an anonymous segment is a sealed memfd: no process can cut it off. One with a name is a file in `/dev/shm`, readable and
/// writable by its user alone; that user's own processes could cut it off, and whoever touches it then gets a SIGBUS. Whoever
/// attaches makes sure that the reserved part is really there; a process that gives pages of it back later (fallocate(2)) makes
/// others get them anew, empty, or a SIGBUS if memory is short. Both need `/proc`. At most 1024 processes can be attached to a segment.
///
/// A copy of the process that the program makes with its own `fork` takes part under an identity of its own, from its first use
/// on. If it cannot (no free descriptor, or it has closed all it had), that use panics. A copy has what its maker was
/// about to send, too: such a handle counts as a user as long as the copy has it.
#[derive(Clone)]
pub struct Segment(pub(crate) Arc<Inner>);

/// What this process has of a segment.
pub(crate) struct Inner {
    pub(crate) maps: Mappings,
    pub(crate) header: Header,
    shape: Shape,
    /// Whether the slots behind the payload are known to be there.
    has_all_slots: AtomicBool,
    /// How much of it, from its beginning, has been found to be really there.
    pub(crate) reserved: AtomicU64,
    payload: NonNull<u8>,
    /// The handle that is passed on and asked through. It has no lock.
    pub(crate) kept: Kept,
    pub(crate) entry: Option<Entry>,
    pub(crate) cell: Cell,
}

// SAFETY: the pointer is to the payload in `maps`, which may be shared, and which lives as long as the value.
unsafe impl Send for Inner {}
// SAFETY: the same.
unsafe impl Sync for Inner {}

impl Inner {
    pub(crate) fn table(&self) -> Table<'_> {
        Table::new(self.maps.whole(), &self.header, &self.has_all_slots)
    }
}

impl Shape {
    /// The header of such a segment.
    pub(crate) fn header(&self) -> Result<Header, Error> {
        Header::new(self.kind, self.length, self.reserved, self.parameters, map::page_size())
            .ok_or_else(|| Error::new(ErrorKind::TooLarge, "making shared memory of that size"))
    }

    /// What a checked header says.
    pub(crate) fn of(header: &Header) -> Shape {
        let (length, reserved) = (header.payload_length(), header.reserved());
        Shape { kind: header.kind(), length, reserved, parameters: header.parameters() }
    }
}

impl Segment {
    /// A segment without a name. `init` runs before anybody else can see it, and finds zeros.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_shm::{Segment, Shape};
    ///
    /// let shape = Shape { kind: 7, length: 1 << 40, reserved: 8, parameters: [0; 4] };
    /// let segment = Segment::anonymous(shape, |_| {})?;
    /// segment.reserve(1 << 30, 4096)?; // now this can be touched too
    /// # Ok::<(), multiprocess_sys::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Out of memory or descriptors, or a size that no memory can have.
    ///
    /// # Crash
    ///
    /// Nothing is left of it when the last process is gone that has it.
    pub fn anonymous(shape: Shape, init: impl FnOnce(&Segment)) -> Result<Segment, Error> {
        let header = shape.header()?;
        let memory = map::anonymous(header.total())?;
        Segment::make(memory, &header, None, init)
    }

    /// A segment of that name, which nobody has. Its user alone can open it. `init` is as for [`anonymous`](Self::anonymous).
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_shm::{Segment, Shape};
    /// use multiprocess_sys::ErrorKind;
    ///
    /// let name = format!("example-create-{}", std::process::id());
    /// let shape = Shape { kind: 7, length: 8, reserved: 8, parameters: [0; 4] };
    /// let segment = Segment::create(&name, shape, |_| {})?;
    /// assert_eq!(Segment::create(&name, shape, |_| {}).unwrap_err().kind(), ErrorKind::AlreadyExists);
    /// drop(segment);
    /// Segment::create(&name, shape, |_| {})?; // nobody has it any more
    /// # Ok::<(), multiprocess_sys::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Some live process has the name open ([`ErrorKind::AlreadyExists`]); it is no name ([`ErrorKind::InvalidName`]);
    /// otherwise as for [`anonymous`](Self::anonymous).
    ///
    /// # Crash
    ///
    /// The name appears in one step: before it nothing is left, after it the name is free when no user of the segment lives.
    pub fn create(name: &str, shape: Shape, init: impl FnOnce(&Segment)) -> Result<Segment, Error> {
        named::create(name, shape, init).map_err(|e| e.with_object(name))
    }

    /// The segment that some live process has under that name. `expected` judges what it is, by a copy that was checked.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_shm::Segment;
    /// use multiprocess_sys::ErrorKind;
    ///
    /// let error = Segment::open("nobody-has-this", |_| Ok(())).unwrap_err();
    /// assert_eq!((error.kind(), error.object()), (ErrorKind::NotFound, Some("nobody-has-this")));
    /// ```
    ///
    /// # Errors
    ///
    /// Nobody has it ([`ErrorKind::NotFound`]); it is no name ([`ErrorKind::InvalidName`]); what has the name is damaged,
    /// or nothing of this library ([`ErrorKind::Damaged`]), or of another version of it ([`ErrorKind::WrongVersion`]);
    /// what `expected` says; a process was stopped while it was attaching ([`ErrorKind::TimedOut`]); all slots are taken.
    ///
    /// # Crash
    ///
    /// Nothing is left of an attempt to open.
    pub fn open(name: &str, expected: impl FnOnce(&Shape) -> Result<(), Error>) -> Result<Segment, Error> {
        named::open(name, expected).map_err(|e| e.with_object(name))
    }

    /// The segment of that name, made if nobody has it. `init` runs only for one that is made (but that may lose against one
    /// that somebody else makes at the same time), `expected` only for one that is opened.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_shm::{Segment, Shape};
    ///
    /// let name = format!("example-either-{}", std::process::id());
    /// let shape = Shape { kind: 7, length: 8, reserved: 8, parameters: [0; 4] };
    /// let first = Segment::open_or_create(&name, shape, |_| {}, |_| Ok(()))?;
    /// let second = Segment::open_or_create(&name, shape, |_| {}, |_| Ok(()))?;
    /// assert!(first.is_same(&second));
    /// # Ok::<(), multiprocess_sys::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`create`](Self::create) and [`open`](Self::open), but for "exists already" and "not found".
    ///
    /// # Crash
    ///
    /// As for [`create`](Self::create).
    pub fn open_or_create(
        name: &str,
        shape: Shape,
        init: impl FnOnce(&Segment),
        expected: impl FnOnce(&Shape) -> Result<(), Error>,
    ) -> Result<Segment, Error> {
        named::open_or_create(name, shape, init, expected).map_err(|e| e.with_object(name))
    }

    /// What it is: this process's own copy.
    pub fn shape(&self) -> &Shape {
        &self.0.shape
    }

    /// Its name, if it has one.
    pub fn name(&self) -> Option<&str> {
        self.0.entry.as_ref().map(Entry::name)
    }

    /// The word that `me` looks at first: who this process is in the segment, or 0 in a copy of the process that has not claimed a
    /// slot yet. It says so as long as any clone of this value lives. For callers for whom the way through the segment is
    /// too long.
    #[doc(hidden)]
    #[inline]
    pub fn me_word(&self) -> &'static std::sync::atomic::AtomicU64 {
        self.0.cell.word()
    }

    /// Where the payload begins: aligned to 1024 bytes, and to a page if it is longer than that, as many bytes as its
    /// [`shape`](Self::shape) says, valid as long as any clone of this value lives. Other processes may write there at any time:
    /// whatever is read is to be checked.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_shm::{Segment, Shape};
    /// use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
    ///
    /// let shape = Shape { kind: 7, length: 8, reserved: 8, parameters: [0; 4] };
    /// let segment = Segment::anonymous(shape, |_| {})?;
    /// // SAFETY: eight bytes, aligned, mapped as long as the segment lives, and seen as an atomic by everybody.
    /// let word = unsafe { segment.base().cast::<AtomicU64>().as_ref() };
    /// assert_eq!(word.load(Relaxed), 0);
    /// # Ok::<(), multiprocess_sys::Error>(())
    /// ```
    pub fn base(&self) -> NonNull<u8> {
        self.0.payload
    }

    /// Where the reserved part of the payload begins, for who has many segments: the same memory as at [`base`](Self::base),
    /// valid for as long, but not as far if much of the payload is not reserved.
    #[doc(hidden)]
    pub fn front(&self) -> NonNull<u8> {
        // SAFETY: the payload begins inside the mapping, or at its end if nothing of it is reserved.
        unsafe { self.0.maps.front(self.kept()).start().add(self.0.header.payload_offset() as usize) }
    }

    /// The payload as words, without the last bytes if they are no whole word. Other processes may write to them at any time.
    /// To touch one that nobody has [reserved](Self::reserve) takes memory, and if there is none the process ends with a signal.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_shm::{Segment, Shape};
    ///
    /// let shape = Shape { kind: 7, length: 20, reserved: 20, parameters: [0; 4] };
    /// assert_eq!(Segment::anonymous(shape, |_| {})?.words().len(), 2);
    /// # Ok::<(), multiprocess_sys::Error>(())
    /// ```
    #[inline]
    pub fn words(&self) -> &[AtomicU64] {
        let length = self.0.shape.length as usize / size_of::<AtomicU64>(); // it is mapped, so it fits
        let words = NonNull::slice_from_raw_parts(self.0.payload.cast::<AtomicU64>(), length);
        // SAFETY: the payload has that many bytes, mapped as long as `self` lives, and is aligned for more; any bytes are atomics,
        // and everybody uses them as such.
        unsafe { words.as_ref() }
    }

    /// Copies bytes of the payload out, beginning with the one at `offset`. What another process writes meanwhile may be in
    /// them or not.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_shm::{Segment, Shape};
    ///
    /// let shape = Shape { kind: 7, length: 20, reserved: 20, parameters: [0; 4] };
    /// let segment = Segment::anonymous(shape, |_| {})?;
    /// segment.write(7, b"text");
    /// let mut bytes = [0; 4];
    /// segment.read(7, &mut bytes);
    /// assert_eq!(&bytes, b"text");
    /// # Ok::<(), multiprocess_sys::Error>(())
    /// ```
    ///
    /// # Panics
    ///
    /// If the bytes do not all lie inside, as for a slice.
    pub fn read(&self, offset: usize, into: &mut [u8]) {
        load_bytes(&self.octets()[offset..][..into.len()], into);
    }

    /// Appends `length` bytes of the payload to `into`, beginning with the one at `offset`; as [`read`](Self::read).
    ///
    /// # Errors
    ///
    /// There is not so much memory.
    ///
    /// # Panics
    ///
    /// If the bytes do not all lie inside, as for a slice.
    #[doc(hidden)]
    pub fn read_onto(&self, offset: usize, length: usize, into: &mut Vec<u8>) -> Result<(), TryReserveError> {
        let bytes = &self.octets()[offset..][..length];
        into.try_reserve_exact(length)?;
        append_bytes(bytes, into);
        Ok(())
    }

    /// Copies bytes in, the first to `offset`; as [`read`](Self::read).
    ///
    /// # Panics
    ///
    /// If the bytes do not all fit inside, as for a slice.
    pub fn write(&self, offset: usize, bytes: &[u8]) {
        store_bytes(&self.octets()[offset..][..bytes.len()], bytes);
    }

    fn octets(&self) -> &[AtomicU8] {
        let length = self.0.shape.length as usize;
        let octets = NonNull::slice_from_raw_parts(self.0.payload.cast::<AtomicU8>(), length);
        // SAFETY: the payload has that many bytes, mapped as long as `self` lives; any byte is an atomic, and everybody uses it as such.
        unsafe { octets.as_ref() }
    }

    /// Has `length` bytes of the payload from `offset` on be really there, so that touching them cannot fail.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_shm::{Segment, Shape};
    ///
    /// let shape = Shape { kind: 7, length: 1 << 30, reserved: 0, parameters: [0; 4] };
    /// let segment = Segment::anonymous(shape, |_| {})?;
    /// segment.reserve(1 << 20, 4096)?;
    /// assert!(segment.reserve(1 << 30, 1).is_err());
    /// # Ok::<(), multiprocess_sys::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// There is not so much memory, or so much payload.
    ///
    /// # Crash
    ///
    /// What is reserved stays so, for all who are attached.
    pub fn reserve(&self, offset: u64, length: u64) -> Result<(), Error> {
        let Inner { maps, shape, header, .. } = &*self.0;
        let inside = offset.checked_add(length).is_some_and(|end| end <= shape.length);
        let reserved = if inside {
            maps.whole().reserve(self.kept(), header.payload_offset() + offset, length)
        } else {
            Err(Error::new(ErrorKind::Other, "reserving more of shared memory than there is"))
        };
        reserved.map_err(|e| match self.name() {
            Some(name) => e.with_object(name),
            None => e,
        })
    }

    /// How many bytes of memory it takes so far, for all who are attached together; `None` if nobody can be asked.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_shm::{Segment, Shape};
    ///
    /// let segment = Segment::anonymous(Shape { kind: 7, length: 1 << 30, reserved: 0, parameters: [0; 4] }, |_| {})?;
    /// assert!(segment.in_use().is_some_and(|bytes| bytes < 1 << 30));
    /// # Ok::<(), multiprocess_sys::Error>(())
    /// ```
    pub fn in_use(&self) -> Option<u64> {
        self.kept().and_then(|memory| multiprocess_sys::map::in_use(memory).ok())
    }

    /// Whether both are the same memory.
    pub fn is_same(&self, other: &Segment) -> bool {
        self.identity() == other.identity()
    }

    /// What no other memory has.
    pub(crate) fn identity(&self) -> Identity {
        self.0.kept.identity()
    }

    pub(crate) fn entry(&self) -> Option<&Entry> {
        self.0.entry.as_ref()
    }

    /// A new segment in `memory`, which holds zeros and which nobody else has. The header comes last.
    pub(crate) fn make(
        memory: OwnedHandle,
        header: &Header,
        entry: Option<Entry>,
        init: impl FnOnce(&Segment),
    ) -> Result<Segment, Error> {
        let maps = Mappings::new(memory.as_fd(), header)?;
        let reserved = header.payload_offset() + header.reserved();
        maps.whole().reserve(Some(memory.as_fd()), 0, reserved)?;
        let own = byte_lock::open_anew(memory.as_fd())?;
        let segment = Segment::of(maps, Kept::new(memory)?, header, entry, reserved)?;
        segment.attach(|| Ok(own))?;
        init(&segment);
        let bytes = header.encode();
        let start = segment.0.maps.whole().start().as_ptr();
        // SAFETY: the mapping is longer than a header, the two do not overlap, and nobody reads a header before it is finished.
        unsafe { start.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        Ok(segment)
    }

    /// Attaches to `memory`, whose header was checked, through `own`, a description of this process alone. The handle of the
    /// memory is kept, and must have no lock of a slot.
    pub(crate) fn join(
        memory: OwnedHandle,
        own: OwnedHandle,
        header: &Header,
        entry: Option<Entry>,
    ) -> Result<Segment, Error> {
        let maps = Mappings::new(memory.as_fd(), header)?;
        // Whoever made it has reserved this much before anybody else could see it, or is not to be trusted.
        let reserved = map::check_reserved(memory.as_fd(), 0, header.payload_offset() + header.reserved())?;
        let segment = Segment::of(maps, Kept::new(memory)?, header, entry, reserved)?;
        segment.attach(|| Ok(own))?;
        Ok(segment)
    }

    fn of(maps: Mappings, kept: Kept, header: &Header, entry: Option<Entry>, reserved: u64) -> Result<Segment, Error> {
        // SAFETY: the mapping is as long as the header says, and the payload begins inside it.
        let payload = unsafe { maps.whole().start().add(header.payload_offset() as usize) };
        let (has_all_slots, reserved) = (AtomicBool::new(false), AtomicU64::new(reserved));
        let cell = attachments::current()?.cell()?;
        let shape = Shape::of(header);
        let header = *header;
        Ok(Segment(Arc::new(Inner { maps, header, shape, has_all_slots, reserved, payload, kept, entry, cell })))
    }

    /// Claims a slot through what `own` opens, or joins the one that this process has already.
    pub(crate) fn attach(&self, own: impl FnOnce() -> Result<OwnedHandle, Error>) -> Result<Owner, Error> {
        let (inner, table) = (&*self.0, self.0.table());
        let here = attachments::current()?;
        here.attach(inner.kept.identity(), inner.cell, Arc::downgrade(&self.0), table, own)
    }
}

impl fmt::Debug for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Segment").field("name", &self.name()).field("shape", self.shape()).finish_non_exhaustive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let Ok(here) = attachments::current() else { return };
        let identity = self.kept.identity();
        // Not the last mapping, or a copy that never took part: somebody else leaves later.
        let Some(slot) = here.detach(identity, self.cell) else { return };
        drop(slot);
        if let Some(entry) = &self.entry {
            named::leave(entry, identity, self.kept.get());
        }
    }
}
