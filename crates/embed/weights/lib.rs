//! Never compiled: see the manifest.
