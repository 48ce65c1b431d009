//! Arrays as PostgreSQL's binary protocol has them: a head, then each element behind its length.

/// The numbers of the elements' types in PostgreSQL's catalog.
const BYTEA: u32 = 17;
const BIGINT: u32 = 20;
const INTEGER: u32 = 23;
const TEXT: u32 = 25;

/// Stands in place of a length for what is absent.
const NULL: [u8; 4] = (-1_i32).to_be_bytes();

/// An array, ready to be sent.
pub(super) type Array = Vec<u8>;

pub(super) fn binary<'a>(values: impl ExactSizeIterator<Item = Option<&'a [u8]>>) -> Array {
    array(BYTEA, values, |array, value| array.extend_from_slice(value))
}

pub(super) fn texts<'a>(values: impl ExactSizeIterator<Item = &'a str>) -> Array {
    array(TEXT, values.map(Some), |array, value| array.extend_from_slice(value.as_bytes()))
}

pub(super) fn numbers(values: impl ExactSizeIterator<Item = Option<i64>>) -> Array {
    array(BIGINT, values, |array, value| array.extend_from_slice(&value.to_be_bytes()))
}

pub(super) fn integers(values: impl ExactSizeIterator<Item = Option<i32>>) -> Array {
    array(INTEGER, values, |array, value| array.extend_from_slice(&value.to_be_bytes()))
}

fn array<T>(element: u32, values: impl ExactSizeIterator<Item = Option<T>>, write: impl Fn(&mut Array, T)) -> Array {
    let length = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX).to_be_bytes();
    let mut array = Vec::with_capacity(20 + values.len() * 24);
    // One dimension, which may hold what is absent, and counts from 1.
    for head in
        [1_u32.to_be_bytes(), 1_u32.to_be_bytes(), element.to_be_bytes(), length(values.len()), 1_u32.to_be_bytes()]
    {
        array.extend_from_slice(&head);
    }
    for value in values {
        let start = array.len();
        array.extend_from_slice(&NULL);
        if let Some(value) = value {
            write(&mut array, value);
            let written = length(array.len() - start - NULL.len());
            array[start..start + NULL.len()].copy_from_slice(&written);
        }
    }
    array
}
