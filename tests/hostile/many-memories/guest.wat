;; Nine core modules with a memory of 64 MiB each: none is too large, and there are more of them than one component may have.
(component
  (core module $m (memory (export "memory") 1024))
  (core instance (instantiate $m))
  (core instance (instantiate $m))
  (core instance (instantiate $m))
  (core instance (instantiate $m))
  (core instance (instantiate $m))
  (core instance (instantiate $m))
  (core instance (instantiate $m))
  (core instance (instantiate $m))
  (core instance (instantiate $m)))
