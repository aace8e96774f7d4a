//! Handles arrive in their order and with their type, and in no other message than their own.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use multiprocess_parcel::{Fd, Parcel, deserialize_handle, pack, pack_data, serialize_handle, unpack, unpack_data};
use multiprocess_sys::ErrorKind;
use multiprocess_sys::handle::{AsHandle, OwnedHandle};
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

const WHERE: &str = "handles travel in arguments, pool initialisers and pipes";

/// A pipe that holds `text` and has no writer any more.
fn pipe_of(text: &str) -> Fd {
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(text.as_bytes()).unwrap();
    Fd(reader.into())
}

fn text_of(pipe: Fd) -> String {
    let mut text = String::new();
    File::from(pipe.into_inner()).read_to_string(&mut text).unwrap();
    text
}

#[test]
fn each_type_works_on_the_other_side() {
    let mut file = File::open(std::env::current_exe().unwrap()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (near, mut far) = UnixStream::pair().unwrap();
    let parcel = pack(&(Fd(&file), "between", Fd(&listener), Some(Fd(near)), pipe_of("owned"))).unwrap();
    assert_eq!(parcel.handles.len(), 4);

    type Arrived = (Fd<File>, String, Fd<TcpListener>, Option<Fd<UnixStream>>, Fd);
    let (mut same_file, text, same_listener, near, owned): Arrived = unpack(parcel).unwrap();
    assert_eq!(text, "between");
    file.seek(std::io::SeekFrom::Start(7)).unwrap();
    assert_eq!(same_file.stream_position().unwrap(), 7, "a duplicate shares its place in the file");
    assert_eq!(same_listener.local_addr().unwrap(), listener.local_addr().unwrap());
    near.unwrap().write_all(b"over").unwrap();
    let mut heard = [0; 4];
    far.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"over");
    assert_eq!(text_of(owned), "owned");
}

#[test]
fn order_is_kept_for_hundreds() {
    let pipes: Vec<Fd> = (0..300).map(|i| pipe_of(&i.to_string())).collect();
    let arrived: Vec<(u32, Fd)> = unpack(pack(&pipes.iter().enumerate().collect::<Vec<_>>()).unwrap()).unwrap();
    for (i, (place, pipe)) in arrived.into_iter().enumerate() {
        assert_eq!(place as usize, i);
        assert_eq!(text_of(pipe), i.to_string());
    }
}

#[test]
fn carrier_without_handles_is_named() {
    let error = pack_data(&(1, pipe_of("")), "a queue").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Encode);
    let text = error.to_string();
    assert!(text.contains(WHERE) && text.contains("not in a queue") && text.contains("Fd"), "{text}");
    let mut parcel = pack(&pipe_of("")).unwrap();
    assert!(unpack_data::<Fd>(&parcel.bytes).unwrap_err().to_string().contains("more handles than the 0"));
    parcel.handles.clear();
}

#[test]
fn wrong_number_of_handles_is_refused() {
    let sent = || pack(&(pipe_of("a"), pipe_of("b"))).unwrap();
    let mut fewer = sent();
    fewer.handles.pop();
    let text = unpack::<(Fd, Fd)>(fewer).unwrap_err().to_string();
    assert!(text.contains("more handles than the 1 that came with it") && text.contains("Fd"), "{text}");

    let mut more = sent();
    more.handles.push(pipe_of("c").into());
    let text = unpack::<(Fd, Fd)>(more).unwrap_err().to_string();
    assert!(text.contains("1 handles are left over") && text.contains("Fd"), "{text}");

    let mut stray = pack(&7u8).unwrap();
    stray.handles.push(pipe_of("c").into());
    assert!(unpack::<u8>(stray).unwrap_err().to_string().contains("left over"));

    let mut swapped = sent();
    swapped.bytes.reverse();
    assert!(unpack::<(Fd, Fd)>(swapped).unwrap_err().to_string().contains("out of their order"));
}

#[test]
fn other_serializers_are_refused() {
    let pipe = pipe_of("");
    let text = serde_json::to_string(&pipe).unwrap_err().to_string();
    assert!(text.contains(WHERE), "{text}");
    assert!(postcard::to_allocvec(&pipe).is_err());
    for json in ["5", "null", "[5]", "{}", "\"5\""] {
        let text = serde_json::from_str::<Fd>(json).unwrap_err().to_string();
        assert!(text.contains(WHERE), "{text}");
    }
    assert!(postcard::from_bytes::<Fd>(&[0]).is_err());
}

/// Does `inside` in the middle of its own packing, after its handle.
struct Carrying<F>(Fd, F);

impl<F: Fn() -> Result<u8, String>> Serialize for Carrying<F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct Inside<'a, F>(&'a F);
        impl<F: Fn() -> Result<u8, String>> Serialize for Inside<'_, F> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_u8(self.0().map_err(S::Error::custom)?)
            }
        }
        (&self.0, Inside(&self.1)).serialize(serializer)
    }
}

#[test]
fn nothing_of_a_failed_message_reaches_the_next() {
    let failing = Carrying(pipe_of("secret"), || Err("no more".to_owned()));
    let text = pack(&failing).unwrap_err().to_string();
    assert!(text.contains("no more") && text.contains("Carrying"), "{text}");
    assert!(pack(&1u8).unwrap().handles.is_empty());
    let next = pack(&pipe_of("next")).unwrap();
    assert_eq!(next.handles.len(), 1);
    assert_eq!(text_of(unpack(next).unwrap()), "next");

    let panicking = Carrying(pipe_of("secret"), || resume_unwind(Box::new("panic")));
    assert!(catch_unwind(AssertUnwindSafe(|| pack(&panicking))).is_err());
    assert!(pack(&1u8).unwrap().handles.is_empty());
    assert_eq!(text_of(unpack(pack(&pipe_of("next")).unwrap()).unwrap()), "next");
    assert!(serde_json::to_string(&pipe_of("")).is_err());
}

#[test]
fn message_inside_a_message_keeps_to_itself() {
    let outer = Carrying(pipe_of("outer"), || {
        let inner = pack(&(pipe_of("inner"), pipe_of("other"))).map_err(|e| e.to_string())?;
        assert!(serde_json::to_string(&pipe_of("json")).is_err());
        assert!(postcard::to_allocvec(&pipe_of("postcard")).is_err());
        assert!(pack_data(&pipe_of("queue"), "a queue").is_err());
        assert_eq!(inner.handles.len(), 2);
        Ok(unpack::<(Fd, Fd)>(inner).map(|(pipe, _)| text_of(pipe).len()).unwrap() as u8)
    });
    let parcel = pack(&(&outer, pipe_of("last"))).unwrap();
    assert_eq!(parcel.handles.len(), 2);
    let ((first, len), last): ((Fd, u8), Fd) = unpack(parcel).unwrap();
    assert_eq!((text_of(first), len, text_of(last)), ("outer".to_owned(), 5, "last".to_owned()));
}

/// Tries to get its handle from other deserializers before it takes it from the right one.
struct Greedy(OwnedHandle);

impl Serialize for Greedy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_handle(self.0.as_fd(), serializer)
    }
}

impl<'de> Deserialize<'de> for Greedy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Greedy, D::Error> {
        assert!(serde_json::from_str::<Fd>("0").is_err());
        assert!(postcard::from_bytes::<Fd>(&[0]).is_err());
        assert!(unpack::<Fd>(Parcel { bytes: vec![0], handles: Vec::new(), ..Parcel::default() }).is_err());
        deserialize_handle(deserializer).map(Greedy)
    }
}

#[test]
fn handle_is_not_taken_by_another_deserializer() {
    let sent = pack(&[Greedy(pipe_of("a").into()), Greedy(pipe_of("b").into())]).unwrap();
    let [a, b] = unpack::<[Greedy; 2]>(sent).unwrap();
    assert_eq!(text_of(Fd(a.0)) + &text_of(Fd(b.0)), "ab");
}
