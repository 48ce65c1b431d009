//! Content of which a client can have a part: `Range`, `ETag`, `If-Range` and `If-None-Match`, as RFC 9110 describes them.
//!
//! The tag is the SHA-256 of the content. A client whose transfer broke off asks for the rest with `Range` and `If-Range`, and gets
//! the whole if the content is another one by now. Several ranges at once are answered with the whole, which the RFC allows.

use std::collections::BTreeMap;

use axum::{
    http::{HeaderMap, StatusCode, header::RANGE},
    response::{IntoResponse, Response},
};
use headers::{AcceptRanges, ContentLength, ContentRange, ContentType, ETag, HeaderMapExt, IfNoneMatch, IfRange};
use serde::Serialize;
use sha2::{Digest, Sha256};
use utoipa::{
    IntoParams, IntoResponses, PartialSchema,
    openapi::{
        ContentBuilder, HeaderBuilder, RefOr, Required, ResponseBuilder,
        path::{Parameter, ParameterBuilder, ParameterIn},
    },
};

use crate::{
    problem::{MEDIA_TYPE, Problem},
    refused::Refused,
};

/// The headers of such a request, for the description of the interface.
pub(crate) struct RangedRequest;

/// The answers to such a request for JSON beside the whole, for the description of the interface.
pub(crate) struct RangedJson;

/// The answers to such a request for bytes beside the whole, for the description of the interface.
pub(crate) struct RangedBytes;

impl IntoParams for RangedRequest {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let described = [
            ("Range", "The bytes that are asked for, as `bytes=0-1023`."),
            (
                "If-Range",
                "The tag of the content that the client has a part of: of another content all bytes are sent.",
            ),
            ("If-None-Match", "The tag of the content that the client has: it is not sent again."),
        ];
        let parameter = |(name, text): (&str, &str)| {
            let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Header);
            parameter.required(Required::False).description(Some(text)).schema(Some(String::schema())).build()
        };
        described.into_iter().map(parameter).collect()
    }
}

impl IntoResponses for RangedJson {
    fn responses() -> Answers {
        answers("application/json")
    }
}

impl IntoResponses for RangedBytes {
    fn responses() -> Answers {
        answers("application/octet-stream")
    }
}

type Answers = BTreeMap<String, RefOr<utoipa::openapi::Response>>;

fn answers(media_type: &str) -> Answers {
    let place =
        || HeaderBuilder::new().description(Some("Which bytes of how many.")).schema(Some(String::schema())).build();
    let problem = ContentBuilder::new().schema(Some(utoipa::openapi::Ref::from_schema_name("Problem"))).build();
    let part = ContentBuilder::new().build();
    let part = ResponseBuilder::new().description("The bytes that were asked for.").content(media_type, part);
    let same = ResponseBuilder::new().description("The client has the content.");
    let beyond = ResponseBuilder::new().description("The content has no such bytes.").content(MEDIA_TYPE, problem);
    [("206", part.header("content-range", place())), ("304", same), ("416", beyond.header("content-range", place()))]
        .map(|(status, response)| (status.to_owned(), RefOr::T(response.build())))
        .into()
}

/// A value as JSON, or the part of its text that the request is for.
pub(crate) fn ranged_json(request: &HeaderMap, value: &impl Serialize) -> Response {
    // What is shown are texts, numbers and what was JSON before.
    ranged(request, ContentType::json(), serde_json::to_vec(value).unwrap_or_default())
}

/// The content, or the part of it that the request is for.
pub(crate) fn ranged(request: &HeaderMap, content_type: ContentType, content: Vec<u8>) -> Response {
    let tag = tag(&content);
    let mut head = HeaderMap::new();
    head.typed_insert(tag.clone());
    head.typed_insert(AcceptRanges::bytes());
    if request.typed_get::<IfNoneMatch>().is_some_and(|known| !known.precondition_passes(&tag)) {
        return (StatusCode::NOT_MODIFIED, head).into_response();
    }
    head.typed_insert(content_type);
    let n_bytes = content.len() as u64;
    let is_same = request.typed_get::<IfRange>().is_none_or(|known| !known.is_modified(Some(&tag), None));
    let range = request.get(RANGE).filter(|_| is_same).and_then(|range| range.to_str().ok());
    let (first, last) = match range.and_then(|range| one_range(range, n_bytes)) {
        Some(Ok(part)) => part,
        Some(Err(refused)) => {
            let mut response = Problem::from(refused).into_response();
            response.headers_mut().typed_insert(ContentRange::unsatisfied_bytes(n_bytes));
            return response;
        }
        None => {
            head.typed_insert(ContentLength(n_bytes));
            return (StatusCode::OK, head, content).into_response();
        }
    };
    // What is in memory has as many bytes as a `usize` can say.
    let part =
        usize::try_from(first).ok().zip(usize::try_from(last).ok()).and_then(|(first, last)| content.get(first..=last));
    let part = part.unwrap_or_default().to_vec();
    head.typed_insert(ContentLength(part.len() as u64));
    if let Ok(place) = ContentRange::bytes(first..=last, n_bytes) {
        head.typed_insert(place);
    }
    (StatusCode::PARTIAL_CONTENT, head, part).into_response()
}

fn tag(content: &[u8]) -> ETag {
    let digest: String = Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("\"sha256:{digest}\"").parse().expect("invariant: digits between quotes are a tag")
}

/// The first and the last byte, if the request is for one part: `bytes=2-4`, `bytes=2-` or `bytes=-3`. Nothing if it is for several,
/// or is not understood, which the RFC lets a server pass over.
fn one_range(range: &str, n_bytes: u64) -> Option<Result<(u64, u64), Refused>> {
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    let number =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u64>().ok()).flatten();
    let beyond = Some(Err(Refused::Range { n_bytes }));
    let Some(end) = n_bytes.checked_sub(1) else { return beyond };
    let (first, last) = match (first, last) {
        ("", n_last) => (n_bytes.saturating_sub(number(n_last)?), end),
        (first, "") => (number(first)?, end),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            if last < first {
                return None;
            }
            (first, last.min(end))
        }
    };
    if first > end { beyond } else { Some(Ok((first, last))) }
}

#[cfg(test)]
mod tests {
    use axum::http::header;

    use super::*;

    const CONTENT: &[u8] = b"0123456789";

    async fn asked(headers: &[(header::HeaderName, &str)]) -> (u16, Option<String>, Vec<u8>) {
        let request = headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
        let answer = ranged(&request, ContentType::json(), CONTENT.to_vec());
        let place = answer.headers().get(header::CONTENT_RANGE).map(|place| place.to_str().unwrap().to_owned());
        let status = answer.status().as_u16();
        (status, place, axum::body::to_bytes(answer.into_body(), 1 << 20).await.unwrap().to_vec())
    }

    #[tokio::test]
    async fn a_part_is_answered_as_the_rfc_says() {
        let part = |place: &str, part: &[u8]| (206, Some(format!("bytes {place}/10")), part.to_vec());
        let whole = (200, None, CONTENT.to_vec());
        for (range, expected) in [
            ("bytes=0-0", part("0-0", b"0")),
            ("bytes=2-4", part("2-4", b"234")),
            ("bytes=7-", part("7-9", b"789")),
            ("bytes=-3", part("7-9", b"789")),
            ("bytes=-30", part("0-9", CONTENT)),
            ("bytes=8-100", part("8-9", b"89")),
            ("bytes=0-1,4-5", whole.clone()),
            ("bytes=4-2", whole.clone()),
            ("bytes=+4-5", whole.clone()),
            ("bytes=x", whole.clone()),
            ("lines=0-1", whole.clone()),
        ] {
            assert_eq!(asked(&[(header::RANGE, range)]).await, expected, "{range}");
        }
        for range in ["bytes=10-", "bytes=10-20", "bytes=-0"] {
            let (status, place, _) = asked(&[(header::RANGE, range)]).await;
            assert_eq!((status, place.as_deref()), (416, Some("bytes */10")), "{range}");
        }
    }

    #[tokio::test]
    async fn a_client_that_knows_the_content_is_sent_nothing() {
        let tag = format!("\"sha256:{}\"", "84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882");
        assert_eq!(asked(&[(header::IF_NONE_MATCH, &tag)]).await, (304, None, Vec::new()));
        assert_eq!(asked(&[(header::IF_NONE_MATCH, "\"other\"")]).await.0, 200);
        let rest = (header::RANGE, "bytes=5-");
        assert_eq!(asked(&[rest.clone(), (header::IF_RANGE, &tag)]).await.0, 206);
        assert_eq!(asked(&[rest, (header::IF_RANGE, "\"other\"")]).await, (200, None, CONTENT.to_vec()));
    }
}
