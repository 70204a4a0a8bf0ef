//! A network that refuses every socket and every name. A connector's requests go through the host's
//! `http`, where they are checked against its grants.

use network::{ErrorCode, IpAddress, IpAddressFamily, IpSocketAddress};
use tcp::ShutdownType;
use udp::{IncomingDatagram, OutgoingDatagram};
use wasmtime::component::Resource;

use super::bindings::wasi::sockets::{
    instance_network, ip_name_lookup, network, tcp, tcp_create_socket, udp, udp_create_socket,
};
use super::clock::Awaited;
use super::never_given;
use super::stdio::{EmptyInput, LogOutput};
use crate::guest::Guest;

/// The network, as a word to be named in a request that is then refused.
#[allow(unreachable_pub)] // the generated bindings re-export it
pub struct Network;

/// Addresses of a name.
#[allow(unreachable_pub)] // the generated bindings re-export it
pub enum Addresses {}

/// A TCP socket.
#[allow(unreachable_pub)] // the generated bindings re-export it
pub enum TcpSocket {}

/// A UDP socket.
#[allow(unreachable_pub)] // the generated bindings re-export it
pub enum UdpSocket {}

/// Datagrams that arrive.
#[allow(unreachable_pub)] // the generated bindings re-export it
pub enum Arriving {}

/// Datagrams that leave.
#[allow(unreachable_pub)] // the generated bindings re-export it
pub enum Leaving {}

type Tried<T> = Result<T, ErrorCode>;
type Streams = (Resource<EmptyInput>, Resource<LogOutput>);

/// What every request for a socket or a name is answered with.
const REFUSED: ErrorCode = ErrorCode::AccessDenied;

impl network::Host for Guest {}

impl network::HostNetwork for Guest {
    fn drop(&mut self, this: Resource<Network>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

impl instance_network::Host for Guest {
    fn instance_network(&mut self) -> wasmtime::Result<Resource<Network>> {
        Ok(self.table.push(Network)?)
    }
}

impl ip_name_lookup::Host for Guest {
    fn resolve_addresses(&mut self, _: Resource<Network>, _: String) -> wasmtime::Result<Tried<Resource<Addresses>>> {
        Ok(Err(REFUSED))
    }
}

impl ip_name_lookup::HostResolveAddressStream for Guest {
    never_given! { Addresses {
        resolve_next_address() -> Tried<Option<IpAddress>>;
        subscribe() -> Resource<Awaited>;
    }}
}

impl tcp_create_socket::Host for Guest {
    fn create_tcp_socket(&mut self, _: IpAddressFamily) -> wasmtime::Result<Tried<Resource<TcpSocket>>> {
        Ok(Err(REFUSED))
    }
}

impl udp_create_socket::Host for Guest {
    fn create_udp_socket(&mut self, _: IpAddressFamily) -> wasmtime::Result<Tried<Resource<UdpSocket>>> {
        Ok(Err(REFUSED))
    }
}

impl tcp::Host for Guest {}

impl tcp::HostTcpSocket for Guest {
    never_given! { TcpSocket {
        start_bind(Resource<Network>, IpSocketAddress) -> Tried<()>;
        finish_bind() -> Tried<()>;
        start_connect(Resource<Network>, IpSocketAddress) -> Tried<()>;
        finish_connect() -> Tried<Streams>;
        start_listen() -> Tried<()>;
        finish_listen() -> Tried<()>;
        accept() -> Tried<(Resource<TcpSocket>, Resource<EmptyInput>, Resource<LogOutput>)>;
        local_address() -> Tried<IpSocketAddress>;
        remote_address() -> Tried<IpSocketAddress>;
        is_listening() -> bool;
        address_family() -> IpAddressFamily;
        set_listen_backlog_size(u64) -> Tried<()>;
        keep_alive_enabled() -> Tried<bool>;
        set_keep_alive_enabled(bool) -> Tried<()>;
        keep_alive_idle_time() -> Tried<u64>;
        set_keep_alive_idle_time(u64) -> Tried<()>;
        keep_alive_interval() -> Tried<u64>;
        set_keep_alive_interval(u64) -> Tried<()>;
        keep_alive_count() -> Tried<u32>;
        set_keep_alive_count(u32) -> Tried<()>;
        hop_limit() -> Tried<u8>;
        set_hop_limit(u8) -> Tried<()>;
        receive_buffer_size() -> Tried<u64>;
        set_receive_buffer_size(u64) -> Tried<()>;
        send_buffer_size() -> Tried<u64>;
        set_send_buffer_size(u64) -> Tried<()>;
        subscribe() -> Resource<Awaited>;
        shutdown(ShutdownType) -> Tried<()>;
    }}
}

impl udp::Host for Guest {}

impl udp::HostUdpSocket for Guest {
    never_given! { UdpSocket {
        start_bind(Resource<Network>, IpSocketAddress) -> Tried<()>;
        finish_bind() -> Tried<()>;
        stream(Option<IpSocketAddress>) -> Tried<(Resource<Arriving>, Resource<Leaving>)>;
        local_address() -> Tried<IpSocketAddress>;
        remote_address() -> Tried<IpSocketAddress>;
        address_family() -> IpAddressFamily;
        unicast_hop_limit() -> Tried<u8>;
        set_unicast_hop_limit(u8) -> Tried<()>;
        receive_buffer_size() -> Tried<u64>;
        set_receive_buffer_size(u64) -> Tried<()>;
        send_buffer_size() -> Tried<u64>;
        set_send_buffer_size(u64) -> Tried<()>;
        subscribe() -> Resource<Awaited>;
    }}
}

impl udp::HostIncomingDatagramStream for Guest {
    never_given! { Arriving {
        receive(u64) -> Tried<Vec<IncomingDatagram>>;
        subscribe() -> Resource<Awaited>;
    }}
}

impl udp::HostOutgoingDatagramStream for Guest {
    never_given! { Leaving {
        check_send() -> Tried<u64>;
        send(Vec<OutgoingDatagram>) -> Tried<u64>;
        subscribe() -> Resource<Awaited>;
    }}
}
