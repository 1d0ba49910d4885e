use super::*;

#[test]
fn pieces_add_up_to_what_one_buffer_would_hold() {
    let message = (vec![7_u8; 700], "text".repeat(200), vec![u64::MAX; 90], 5_u128);
    let whole = postcard::to_stdvec(&message).unwrap();
    let mut pieces = Vec::new();
    let total = encode_with("a message", &message, |piece| {
        pieces.extend_from_slice(piece);
        Ok(())
    });
    assert_eq!((total.unwrap(), &pieces), (whole.len(), &whole));
    assert_eq!(decode::<(Vec<u8>, String, Vec<u64>, u128)>("a message", &whole).unwrap(), message);
}

#[test]
fn a_sink_that_refuses_is_heard() {
    let refused = encode_with("a message", &vec![1_u8; 1_000], |_| Err(Error::Exiting));
    assert_eq!(refused, Err(Error::Exiting));
}

#[test]
fn values_are_written_behind_others_as_they_would_be_alone() {
    let message =
        (1.5_f32, -2.5_f64, [0_u64, 127, 128, 1 << 28, 1 << 35, 1 << 56, u64::MAX], "eight by", vec![u128::MAX, 1]);
    let mut bytes = vec![9; 3];
    assert!(append("a message", &message, &mut bytes).unwrap().is_none());
    assert_eq!(bytes[3..], postcard::to_stdvec(&message).unwrap());
}

#[test]
fn an_error_has_the_words_of_the_type_that_refused() {
    struct Refuses(&'static str);
    impl Serialize for Refuses {
        fn serialize<S: serde::Serializer>(&self, _serializer: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom(format_args!("not {}", self.0)))
        }
    }
    for day in ["today", "tomorrow"] {
        let expected = Err(Error::Encode { what: "a message".into(), reason: format!("not {day}") });
        assert_eq!(encode_into("a message", &Refuses(day), &mut [0; 8]).map(drop), expected);
        assert_eq!(append("a message", &(1, Some(Refuses(day))), &mut Vec::new()).map(drop), expected);
    }
}

#[test]
fn too_many_bytes_are_no_message() {
    assert!(matches!(decode::<u8>("a message", &[1, 2]), Err(Error::Decode { .. })));
}
