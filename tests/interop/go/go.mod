module sealwire/interop

go 1.26
