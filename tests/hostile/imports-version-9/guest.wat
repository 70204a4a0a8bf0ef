(component (import "atlas:connector/http@9.0.0" (instance)))
