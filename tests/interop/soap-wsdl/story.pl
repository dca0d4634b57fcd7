# The story with SOAP::WSDL: interface and classes made by wsdl2perl, a prefix per service.
use strict;
use warnings;
use utf8;
use lib '.';
use open qw(:std :encoding(UTF-8));
use Time::Local qw(timegm);
use Licentia::Admin::Interfaces::AdminService::AdminSoap11;
use Licentia::Sales::Interfaces::SalesService::SalesSoap11;
use Licentia::Depot::Interfaces::DepotService::DepotSoap11;
use Licentia::Licensing::Interfaces::LicensingService::LicensingSoap11;

my $run = $ENV{RUN};

# The interface of a service, which shows its key in the way that is wanted.
sub service {
    my ($name) = @_;
    my $class = "Licentia::${name}::Interfaces::${name}Service::${name}Soap11";
    my $interface = $class->new({proxy_address => "$ENV{LICENTIA_URL}/soap/" . lc $name});
    my $key = $ENV{'KEY_' . uc $name};
    my (undef, $id, $secret) = split /_/, $key, 3;
    my $headers = $interface->get_transport->default_headers;
    $headers->authorization_basic($id, $secret) if $ENV{SOAP_AUTH} eq 'basic';
    $headers->header(Authorization => "Bearer $key") if $ENV{SOAP_AUTH} eq 'bearer';
    return $interface;
}

sub say_ { print "$_[0]=$_[1]\n" }

# A reply that is a fault is false; this ends the program with what it says.
sub good {
    my ($reply) = @_;
    die $reply->get_faultstring unless $reply;
    return $reply;
}

# What an element of the refusal holds. SOAP::WSDL finds no class for the detail of a fault and gives the whole
# message as its text.
sub refusal {
    my ($reply, $name) = @_;
    die 'no fault' if $reply;
    my ($found) = $reply->get_faultstring =~ m{<$name>([^<]*)</$name>};
    return $found;
}

sub truth { return $_[0] eq 'true' || $_[0] eq '1' ? 'true' : 'false' }

my ($admin, $sales, $depot, $licensing) = map { service($_) } qw(Admin Sales Depot Licensing);

my $item = {productCode => $run, quantity => 3, features => ['x', 'y']};
my $product = good($admin->PutProduct({sku => $run, name => 'Ä & <b>', items => [$item]}));
say_('product.created', truth($product->get_created));
say_('product.name', $product->get_name);
say_('product.features', join ' ', @{$product->get_items->get_features});

sub order {
    my ($sku) = @_;
    return $sales->CreateOrder({
        source => 'interop', orderNumber => $run,
        customer => {id => 'c1', name => 'Ünal & Söhne <GmbH>'},
        lines => [{lineId => '1', sku => $sku, quantity => 1}],
    });
}
my ($first, $again) = map { good(order($run)) } 1 .. 2;
say_('order.created', truth($first->get_created));
say_('order.ticket', $first->get_ticket);
say_('repeat.created', truth($again->get_created));
say_('repeat.ticket', $again->get_ticket);
my $wrong = order('a b');
say_('invalid.code', refusal($wrong, 'code'));
say_('invalid.pointer', refusal($wrong, 'pointer'));

my $ticket = good($depot->GetTicket({code => $first->get_ticket . ''}));
say_('ticket.customer', $ticket->get_customer);
say_('ticket.available', $ticket->get_licenses->get_available);
my $container = {kind => 'cloud-lite', user => $run};
my $activation = good($depot->ActivateTicket({code => $first->get_ticket . '', container => $container}));
say_('activation.state', $activation->get_state);

sub checkout { return $licensing->CheckoutLicense({leaseId => "$run-$_[0]", productCode => $run, user => $run}) }
my @leases = map { good(checkout($_)) } 1 .. 3;
say_('checkout.seats', join ' ', map { $_->get_seatsInUse } @leases);
my ($from, $to) = map {
    my ($y, $m, $d, $h, $min, $s) = "$_" =~ /(\d+)-(\d+)-(\d+)T(\d+):(\d+):([\d.]+)/;
    timegm(0, $min, $h, $d, $m - 1, $y) + $s
} $leases[0]->get_grantedAt, $leases[0]->get_expiresAt;
say_('checkout.seconds', sprintf '%.0f', $to - $from);
my $fourth = checkout(4);
say_('refusal.code', refusal($fourth, 'code'));
say_('renewal.created', truth(good(checkout(1))->get_created));

sub held {
    my $leases = good($licensing->ListLeases({productCode => $run}))->get_leases;
    return join ' ', sort map { substr $_->get_leaseId, -1 } @$leases;
}
say_('leases', held());
good($licensing->ReleaseLease({leaseId => "$run-1"}));
say_('released', held());
