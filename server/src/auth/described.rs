//! What the description says about credentials, taken from the table of routes: clients that are made of it send one where one
//! is needed, and the pages ask for it.

use axum::http::Method;
use utoipa::openapi::{
    OpenApi,
    security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme},
};

use super::{Permissions, permission::Need};

/// What the description calls a credential.
const CREDENTIAL: &str = "credential";

/// The same description, with what each operation needs.
pub(crate) fn with_credentials(mut described: OpenApi) -> OpenApi {
    let permissions = Permissions::of(&described);
    let mut scheme = Http::new(HttpAuthScheme::Bearer);
    scheme.description = Some("An API key or an access token. A server without a login needs none.".to_owned());
    let components = described.components.get_or_insert_default();
    components.add_security_scheme(CREDENTIAL, SecurityScheme::Http(scheme));
    for (path, item) in &mut described.paths.paths {
        let operations = [
            (Method::GET, &mut item.get),
            (Method::PUT, &mut item.put),
            (Method::POST, &mut item.post),
            (Method::DELETE, &mut item.delete),
            (Method::PATCH, &mut item.patch),
        ];
        for (method, operation) in operations {
            let Some(operation) = operation else { continue };
            if permissions.need(path, &method) != Some(Need::Nothing) {
                operation.security = Some(vec![SecurityRequirement::new::<_, [&str; 0], &str>(CREDENTIAL, [])]);
            }
        }
    }
    described
}
