//! Names that are none, for every kind of object.

use crate::kinds::KINDS;
use multiprocess::ErrorKind;
use multiprocess_tests::checked;
use multiprocess_tests::names::unique;

/// Nothing is made of a name that is none, and the error shows it.
#[test]
fn odd_names_are_refused() {
    let too_long = "x".repeat(201);
    let endless = "x".repeat(1 << 14);
    let odd = [
        "",
        &too_long,
        &endless,
        "/",
        "..",
        ".",
        "a/b",
        "/a",
        "a/",
        "../a",
        "a\0",
        "\0",
        "a\0b",
        "a b",
        " ",
        "a\n",
        "a:b",
        "ä",
        "多",
        "a\u{301}",
        "\u{202e}a",
        "a\\b",
        "a*",
        "~",
        "a%s%n",
        "$(a)",
        "\u{7f}",
    ];
    checked("refusing odd names", || {
        for kind in KINDS {
            for name in odd {
                for call in [kind.create, kind.open, kind.open_or_create] {
                    let Err(error) = call(name) else { panic!("{name:?} is a name of a {}", kind.what) };
                    assert_eq!(error.kind(), ErrorKind::InvalidName, "{:?}: {error}", name.get(..20));
                    assert_eq!(error.object(), Some(name));
                    assert!(
                        !error.to_string().contains(['\0', '\n']),
                        "the text shows such characters escaped: {error}"
                    );
                }
            }
        }
    });
}

/// What looks odd and is a name all the same.
#[test]
fn names_with_dots_and_dashes_are_names() {
    let longest = format!("{:-<200}", unique("longest"));
    let fine = [unique("..."), unique(".hidden"), unique("-rf"), unique("UPPER_lower.123"), longest];
    checked("using odd but valid names", || {
        for name in fine {
            for kind in KINDS {
                let made = (kind.create)(&name).unwrap_or_else(|error| panic!("{}: {error}", kind.what));
                let opened = (kind.open)(&name).unwrap_or_else(|error| panic!("{}: {error}", kind.what));
                drop((made, opened));
                let Err(error) = (kind.open)(&name) else { panic!("a {} outlived its users", kind.what) };
                assert_eq!(error.kind(), ErrorKind::NotFound);
            }
        }
    });
}

/// Names that differ in a single letter or its case are two names.
#[test]
fn similar_names_are_different() {
    checked("two objects of similar names", || {
        let name = unique("similar");
        let names = [name.clone(), format!("{name}."), name.to_uppercase(), format!("-{name}")];
        let events = names.each_ref().map(|name| multiprocess::Event::create(name).expect("an event can be made"));
        events[1].set();
        assert_eq!(events.each_ref().map(multiprocess::Event::is_set), [false, true, false, false]);
    });
}
