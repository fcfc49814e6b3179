//! Guards the shape of the tree: floors, licences, sources, duplicate versions.
