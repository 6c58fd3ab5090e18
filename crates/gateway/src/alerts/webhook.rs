//! Alerts to a URL: a POST of the notice, signed as Standard Webhooks asks (standardwebhooks.com, "Webhook metadata" and
//! "Signature scheme").

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderName, HeaderValue, StatusCode, header};
use ring::hmac;

use super::delivery::Failure;
use super::notice::Notice;
use super::settings::{SigningKey, WebhookSettings};
use crate::outbound::{Outbound, Reply, TargetError};

const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// One URL.
#[derive(Debug)]
pub(super) struct Webhook {
    outbound: Outbound,
    secret: Option<SigningKey>,
    timeout: Duration,
}

impl Webhook {
    pub(super) fn new(settings: &WebhookSettings) -> Result<Self, TargetError> {
        let outbound = Outbound::new(&settings.target)?;
        Ok(Self { outbound, secret: settings.secret.clone(), timeout: settings.timeout })
    }

    /// Posts a notice once. Any 2xx status means that it was taken.
    pub(super) async fn attempt(&self, notice: &Notice) -> Result<(), Failure> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let headers = self.headers(notice, since.as_secs());
        match self.outbound.post(&headers, notice.document.clone(), self.timeout).await {
            Ok(reply) => judge(&reply),
            Err(error) => Err(Failure { text: error.to_string(), again: true, retry_after: None }),
        }
    }

    fn headers(&self, notice: &Notice, timestamp: u64) -> Vec<(HeaderName, HeaderValue)> {
        let mut headers = vec![
            (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
            (TIMESTAMP, HeaderValue::from(timestamp)),
        ];
        // Our ids are digits, letters and dashes.
        if let Ok(id) = HeaderValue::from_str(&notice.delivery) {
            headers.push((ID, id));
        }
        let signature =
            self.secret.as_ref().map(|key| sign(key, &notice.delivery, timestamp, &notice.document));
        if let Some(Ok(signature)) = signature.map(|text| HeaderValue::from_str(&text)) {
            headers.push((SIGNATURE, signature));
        }
        headers
    }
}

/// `v1,` and the base64 of HMAC-SHA256 over `ID.TIMESTAMP.BODY`.
fn sign(key: &SigningKey, id: &str, timestamp: u64, body: &[u8]) -> String {
    let mut signing = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key.expose()));
    signing.update(format!("{id}.{timestamp}.").as_bytes());
    signing.update(body);
    format!("v1,{}", STANDARD.encode(signing.sign()))
}

fn judge(reply: &Reply) -> Result<(), Failure> {
    let status = reply.status;
    if status.is_success() {
        return Ok(());
    }
    let again = status.is_server_error()
        || matches!(
            status,
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS
        );
    let said = match reply.excerpt() {
        said if said.is_empty() => said,
        said => format!(": {said}"),
    };
    let text = if status.is_redirection() {
        format!("answered {status}; redirects are not followed")
    } else {
        format!("answered {status}{said}")
    };
    Err(Failure { text, again, retry_after: reply.retry_after })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn reply(status: u16) -> Reply {
        Reply { status: StatusCode::from_u16(status).unwrap(), retry_after: None, body: Bytes::new() }
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        for status in [200, 201, 204] {
            assert_eq!(judge(&reply(status)), Ok(()), "{status}");
        }
        for (status, again) in [
            (301, false),
            (400, false),
            (401, false),
            (404, false),
            (408, true),
            (410, false),
            (425, true),
            (429, true),
            (500, true),
            (503, true),
        ] {
            assert_eq!(judge(&reply(status)).unwrap_err().again, again, "{status}");
        }
        let refused = Reply { body: Bytes::from_static(b"no such\nhook"), ..reply(404) };
        assert_eq!(judge(&refused).unwrap_err().text, "answered 404 Not Found: no such hook");
    }

    #[test]
    fn a_signature_is_that_of_the_specification() {
        // The example of the Standard Webhooks specification's own libraries.
        let key = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signature = sign(
            &SigningKey::new(key),
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }
}
