"""Jobs on many songs: planned first, done all or nothing, and recorded in manifests."""
