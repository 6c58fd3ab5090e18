//! Images of shelves in a file beside the store, so that a new process need not read all entries to search.
//!
//! The file may be lost, be old, or belong to another state of the store: a store that was put back from a copy counts its
//! changes from there. So the store's table names, for each namespace, the one image that holds, by the digest of what is
//! in it; any other is none. A row of the table is written after its image; a process that dies between leaves an image
//! that nothing names.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _};
use sha2::{Digest as _, Sha256};

use crate::UnixMillis;
use crate::derived::{Derived, DerivedKey};
use crate::limits::SEARCH_FILE_BYTES;
use crate::search::Embedder;
use crate::search::shelf::{FORMAT, Shelf};
use crate::sqlite::Fault;

const NAME_BYTES: usize = 32;
/// Names an image: SHA-256 of it.
pub(in crate::sqlite) type ImageName = [u8; NAME_BYTES];

/// The tables. `image`: the name of the one that holds, of whatever model.
pub(in crate::sqlite) const SCHEMA: &str = "CREATE TABLE search_image (
        namespace INTEGER PRIMARY KEY REFERENCES namespace (id) ON DELETE CASCADE,
        image     BLOB NOT NULL
    ) STRICT;";

#[derive(Debug)]
pub(super) struct Images {
    file: Derived,
    /// What all images of this process have in common.
    common: Sha256,
}

impl Images {
    pub(super) fn beside(store: &Path, embedder: Option<&dyn Embedder>) -> Self {
        let (model, dims) = embedder.map_or(("", 0), |embedder| (embedder.key(), embedder.dims()));
        let common = Sha256::new()
            .chain_update(FORMAT)
            .chain_update(env!("CARGO_PKG_VERSION"))
            .chain_update(dims.to_le_bytes())
            .chain_update(model);
        Self { file: Derived::beside(store, SEARCH_FILE_BYTES), common }
    }

    fn key(&self, namespace: i64) -> DerivedKey {
        self.common.clone().chain_update(namespace.to_le_bytes()).finalize().into()
    }

    /// The shelf of a namespace as it was at some time, if one is kept that holds.
    pub(super) fn find(
        &self,
        connection: &Connection,
        namespace: i64,
        dims: usize,
        now: UnixMillis,
    ) -> Result<Option<Shelf>, Fault> {
        let name: Option<Vec<u8>> = connection
            .prepare_cached("SELECT image FROM search_image WHERE namespace = ?1")?
            .query_row([namespace], |row| row.get(0))
            .optional()?;
        // A store without images is not asked for its file: that would make one.
        let Some(name) = name else { return Ok(None) };
        let body = self.file.find(&[self.key(namespace)], now).pop().flatten();
        let shelf = body.and_then(|body| {
            let (found, image) = body.split_first_chunk::<NAME_BYTES>()?;
            // That the bytes are those that were written under this name is for the file to say.
            (found == name.as_slice()).then(|| Shelf::from_image(image, dims)).flatten()
        });
        Ok(shelf)
    }

    /// Keeps the image of a shelf, soon; answers its name, which [`hold`] makes known.
    pub(super) fn keep(&self, namespace: i64, shelf: &Shelf, now: UnixMillis) -> Option<ImageName> {
        let image = shelf.image()?;
        let name: ImageName = Sha256::digest(&image).into();
        self.file.keep(vec![(self.key(namespace), [name.as_slice(), &image].concat())], now);
        Some(name)
    }
}

/// Makes an image the one that holds.
pub(in crate::sqlite) fn hold(connection: &Connection, namespace: i64, name: ImageName) -> Result<(), Fault> {
    // The namespace may be gone by now.
    connection
        .prepare_cached(
            "INSERT INTO search_image (namespace, image) SELECT id, ?2 FROM namespace WHERE id = ?1
             ON CONFLICT (namespace) DO UPDATE SET image = excluded.image",
        )?
        .execute((namespace, name))?;
    Ok(())
}
