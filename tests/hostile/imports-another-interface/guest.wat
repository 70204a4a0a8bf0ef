(component (import "atlas:connector/shell@0.1.0" (instance (export "run" (func)))))
