//! Connecting to the listener of another program.

use crate::handshake::{self, Key};
use crate::{Address, Connection};
use multiprocess_sys::clock::Deadline;
use multiprocess_sys::transport::Socket;
use multiprocess_sys::{Error, ErrorKind, listener};
use std::time::Duration;

/// How long a listener may take to accept, unless said otherwise.
const PATIENCE: Duration = Duration::from_secs(30);

/// Connects to a [`Listener`](crate::Listener), which may be in any program.
///
/// With a [key](Client::key) both sides prove to each other that they know it, and [`connect`](Client::connect) waits for the listener
/// to accept. Without one it does not wait: what is sent before the listener accepts is received when it does.
///
/// # Examples
///
/// ```
/// use multiprocess_channel::{Address, Client, Listener};
///
/// let listener = Listener::bind(Address::unique()?)?.key("a long secret");
/// let address = listener.address().clone();
/// let client = std::thread::spawn(move || {
///     let connection = Client::new(address).key("a long secret").connect::<u32, String>()?;
///     connection.send(7)?;
///     Ok::<_, multiprocess_channel::Error>(connection.recv()?)
/// });
/// let connection = listener.accept::<String, u32>()?;
/// let number = connection.recv()?;
/// connection.send(format!("you sent {number}"))?;
/// assert_eq!(client.join().unwrap()?, "you sent 7");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "it connects when told so"]
pub struct Client {
    address: Address,
    key: Option<Key>,
    any_user: bool,
    timeout: Duration,
}

impl Client {
    /// A client of the listener at `address`.
    ///
    /// # Examples
    ///
    /// ```
    /// use multiprocess_channel::{Client, ErrorKind};
    ///
    /// let error = Client::new("/no/such/socket").connect::<(), ()>().unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::NotFound);
    /// ```
    pub fn new(address: impl Into<Address>) -> Client {
        Client { address: address.into(), key: None, any_user: false, timeout: PATIENCE }
    }

    /// The key that the listener must have too: any bytes. Against somebody who tries keys only a long random one helps.
    #[doc(alias = "authkey")]
    pub fn key(mut self, key: impl AsRef<[u8]>) -> Client {
        self.key = Some(Key::new(key.as_ref()));
        self
    }

    /// Connects also to a listener of another user. Otherwise it must be one of this user, or of the superuser.
    pub fn any_user(mut self) -> Client {
        self.any_user = true;
        self
    }

    /// How long [`connect`](Client::connect) waits at most for the listener to accept; `Duration::MAX` is for ever. Unless said
    /// otherwise, it is half a minute.
    pub fn timeout(mut self, timeout: Duration) -> Client {
        self.timeout = timeout;
        self
    }

    /// Connects. The types are those of the listener's [`accept`](crate::Listener::accept), the other way round.
    ///
    /// # Examples
    ///
    /// See [`Client`].
    ///
    /// # Errors
    ///
    /// Nobody listens there ([`ErrorKind::NotFound`]); something else does ([`ErrorKind::WrongKind`]); the listener has another
    /// key, or none, or belongs to another user ([`ErrorKind::Authentication`]); it does not accept in time
    /// ([`ErrorKind::TimedOut`]), or closes the connection ([`ErrorKind::Disconnected`]).
    pub fn connect<S, R>(&self) -> Result<Connection<S, R>, Error> {
        let connected = self.socket(Deadline::after(self.timeout));
        connected.map(Connection::over).map_err(|error| error.with_object(self.address.to_string()))
    }

    fn socket(&self, deadline: Deadline) -> Result<Socket, Error> {
        let socket = listener::connect(self.address.place()?, deadline)?;
        if !self.any_user && !socket.peer()?.is_own_or_root() {
            return Err(Error::new(ErrorKind::Authentication, "connecting to a listener of another user"));
        }
        if let Some(key) = &self.key {
            handshake::introduce(&socket, key, deadline)?;
        }
        Ok(socket)
    }
}
