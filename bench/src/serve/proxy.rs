//! An HTTP proxy that copies: hyper's server in front, hyper-util's pooled client behind, bodies streamed.

use hyper::body::Incoming;

use super::front::{self, Target};
use crate::Result;

pub(super) async fn serve(upstream: &str) -> Result<()> {
    let (pool, target) = (front::client::<Incoming>(), Target::new(upstream)?);
    front::serve(move |mut request| {
        target.address(&mut request);
        pool.request(request)
    })
    .await
}
