// Command peer is Go's crypto/tls as the other end of an interoperability test.
//
// It connects to a port of this machine, or listens on one and says so on standard error ("LISTEN port"). When the
// handshake is complete it prints what was negotiated on standard error, as JSON; then standard input goes to the peer,
// and what the peer sends to standard output. It ends when both directions have.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
)

var groups = map[string]tls.CurveID{
	"x25519":             tls.X25519,
	"secp256r1":          tls.CurveP256,
	"secp384r1":          tls.CurveP384,
	"secp521r1":          tls.CurveP521,
	"X25519MLKEM768":     tls.X25519MLKEM768,
	"SecP256r1MLKEM768":  tls.SecP256r1MLKEM768,
	"SecP384r1MLKEM1024": tls.SecP384r1MLKEM1024,
}

func main() {
	connect := flag.Int("connect", 0, "port to connect to; 0 listens")
	roots := flag.String("ca", "", "PEM file of the root that the peer's certificate leads to")
	chain := flag.String("cert", "", "PEM file of our chain; none if empty")
	key := flag.String("key", "", "PEM file of our private key")
	names := flag.String("groups", "", "key exchange groups, separated by commas")
	times := flag.Int("times", 1, "connections, one after the other, that resume if they can; all but the last only say hello")
	flag.Parse()
	if err := run(*connect, *times, *roots, *chain, *key, *names); err != nil {
		fmt.Fprintln(os.Stderr, "ERROR", err)
		os.Exit(1)
	}
}

func run(port, times int, roots, chain, key, names string) error {
	config, err := configure(roots, chain, key, names)
	if err != nil {
		return err
	}
	open, err := opener(port, config)
	if err != nil {
		return err
	}
	for ; times > 0; times-- {
		use := pipe
		if times > 1 {
			use = hello
		}
		if err := once(open, use); err != nil {
			return err
		}
	}
	return nil
}

func once(open func() (*tls.Conn, error), use func(*tls.Conn) error) error {
	conn, err := open()
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.Handshake(); err != nil {
		return err
	}
	if err := report(conn.ConnectionState()); err != nil {
		return err
	}
	return use(conn)
}

// hello says so, and listens to the peer's end: the tickets have come by then.
func hello(conn *tls.Conn) error {
	if _, err := io.WriteString(conn, "hello\n"); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, conn)
	return errors.Join(err, conn.CloseWrite())
}

func configure(roots, chain, key, names string) (*tls.Config, error) {
	pem, err := os.ReadFile(roots)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errors.New("no root in " + roots)
	}
	config := &tls.Config{
		MinVersion: tls.VersionTLS13,
		RootCAs:    pool,
		ClientCAs:  pool,
		ClientAuth: tls.RequireAndVerifyClientCert,
		ServerName: "localhost",

		ClientSessionCache: tls.NewLRUClientSessionCache(8),
	}
	if chain != "" {
		pair, err := tls.LoadX509KeyPair(chain, key)
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{pair}
	}
	for _, name := range strings.Split(names, ",") {
		group, known := groups[name]
		if !known {
			return nil, errors.New("unknown group " + name)
		}
		config.CurvePreferences = append(config.CurvePreferences, group)
	}
	return config, nil
}

func opener(port int, config *tls.Config) (func() (*tls.Conn, error), error) {
	if port != 0 {
		return func() (*tls.Conn, error) {
			conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
			if err != nil {
				return nil, err
			}
			return tls.Client(conn, config), nil
		}, nil
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	fmt.Fprintln(os.Stderr, "LISTEN", listener.Addr().(*net.TCPAddr).Port)
	return func() (*tls.Conn, error) {
		conn, err := listener.Accept()
		if err != nil {
			return nil, err
		}
		return tls.Server(conn, config), nil
	}, nil
}

func report(state tls.ConnectionState) error {
	exported, err := state.ExportKeyingMaterial("EXPORTER-sealwire-interop", nil, 32)
	if err != nil {
		return err
	}
	line, err := json.Marshal(map[string]any{
		"version":  tls.VersionName(state.Version),
		"suite":    tls.CipherSuiteName(state.CipherSuite),
		"group":    uint16(state.CurveID),
		"retried":  state.HelloRetryRequest,
		"resumed":  state.DidResume,
		"chain":    len(state.PeerCertificates),
		"exported": fmt.Sprintf("%x", exported),
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "STATE %s\n", line)
	return nil
}

// pipe ends with the peer's close_notify: a stream that is cut off is an error.
func pipe(conn *tls.Conn) error {
	sent := make(chan error, 1)
	go func() {
		_, err := io.Copy(conn, os.Stdin)
		sent <- errors.Join(err, conn.CloseWrite())
	}()
	if _, err := io.Copy(os.Stdout, conn); err != nil {
		return err
	}
	select {
	case err := <-sent:
		return err
	default:
		return conn.CloseWrite()
	}
}
