# The story with SOAP::Lite. It reads no document/literal WSDL: names and order are in the program.
use strict;
use warnings;
use utf8;
use open qw(:std :encoding(UTF-8));
use Digest::SHA qw(sha1);
use MIME::Base64 qw(encode_base64);
use POSIX qw(strftime);
use SOAP::Lite;
use Time::Local qw(timegm);

my $WSSE = 'http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd';
my $WSU = 'http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd';
my $PROFILE = 'http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0';
my ($url, $run, $auth) = @ENV{qw(LICENTIA_URL RUN SOAP_AUTH)};

# A UsernameToken as XML; SOAP::Lite knows none.
sub token {
    my ($id, $secret) = @_;
    my $password = "<w:Password>$secret</w:Password>";
    if ($auth eq 'digest') {
        my $nonce = join '', map { chr int rand 256 } 1 .. 16;
        my $created = strftime('%Y-%m-%dT%H:%M:%SZ', gmtime);
        my ($digest, $encoded) = map { encode_base64($_, '') } sha1($nonce . $created . $secret), $nonce;
        $password = qq(<w:Password Type="$PROFILE#PasswordDigest">$digest</w:Password>)
            . "<w:Nonce>$encoded</w:Nonce><u:Created>$created</u:Created>";
    }
    return SOAP::Header->type(xml => qq(<w:Security xmlns:w="$WSSE" xmlns:u="$WSU"><w:UsernameToken>)
        . "<w:Username>$id</w:Username>$password</w:UsernameToken></w:Security>");
}

# Call an operation with its fields in the order of the WSDL; gives what came back, a fault too.
sub call {
    my ($service, $operation, @fields) = @_;
    my $key = $ENV{'KEY_' . uc $service};
    my (undef, $id, $secret) = split /_/, $key, 3;
    my $client = SOAP::Lite->proxy("$url/soap/$service")->default_ns("urn:licentia:$service:1")->autotype(0);
    $client->on_action(sub { "urn:licentia:$service:1/$operation" })->on_fault(sub { $_[1] });
    my $headers = $client->transport->proxy->http_request->headers;
    $headers->authorization_basic($id, $secret) if $auth eq 'basic';
    $headers->header(Authorization => "Bearer $key") if $auth eq 'bearer';
    push @fields, token($id, $secret) if $auth eq 'text' || $auth eq 'digest';
    return $client->call($operation, @fields);
}

# With autotype(0), which the schema needs, SOAP::Lite escapes nothing.
sub field { return SOAP::Data->name($_[0] => SOAP::Utils::encode_data($_[1])) }
sub group { my $name = shift; return SOAP::Data->name($name => \SOAP::Data->value(@_)) }

sub say_ { print "$_[0]=$_[1]\n" }

my $item = group(items => field(quantity => 3), field(features => 'x'), field(features => 'y'),
    field(productCode => $run));
my $product = call(admin => 'PutProduct', field(sku => $run), field(name => 'Ä & <b>'), $item);
say_('product.created', $product->valueof('//created'));
say_('product.name', $product->valueof('//PutProductResponse/name'));
say_('product.features', join ' ', $product->valueof('//items/features'));

sub order {
    my ($sku) = @_;
    return call(sales => 'CreateOrder', field(source => 'interop'), field(orderNumber => $run),
        group(customer => field(id => 'c1'), field(name => 'Ünal & Söhne <GmbH>')),
        group(lines => field(lineId => '1'), field(sku => $sku), field(quantity => 1)));
}
my ($first, $again) = (order($run), order($run));
say_('order.created', $first->valueof('//created'));
say_('order.ticket', $first->valueof('//ticket'));
say_('repeat.created', $again->valueof('//created'));
say_('repeat.ticket', $again->valueof('//ticket'));
my $wrong = order('a b')->faultdetail->{LicensingFault};
say_('invalid.code', $wrong->{code});
say_('invalid.pointer', $wrong->{errors}{pointer});

my $code = field(code => scalar $first->valueof('//ticket'));
my $ticket = call(depot => 'GetTicket', $code);
say_('ticket.customer', $ticket->valueof('//GetTicketResponse/customer'));
say_('ticket.available', $ticket->valueof('//licenses/available'));
my $container = group(container => field(kind => 'cloud-lite'), field(user => $run));
my $activation = call(depot => 'ActivateTicket', $code, $container);
say_('activation.state', $activation->valueof('//state'));

sub checkout {
    return call(licensing => 'CheckoutLicense', field(leaseId => "$run-$_[0]"), field(productCode => $run),
        field(user => $run));
}
my @leases = map { checkout($_) } 1 .. 3;
say_('checkout.seats', join ' ', map { $_->valueof('//seatsInUse') } @leases);
my ($from, $to) = map {
    my ($y, $m, $d, $h, $min, $s) = $leases[0]->valueof("//$_") =~ /(\d+)-(\d+)-(\d+)T(\d+):(\d+):([\d.]+)Z/;
    timegm(0, $min, $h, $d, $m - 1, $y) + $s
} qw(grantedAt expiresAt);
say_('checkout.seconds', sprintf '%.0f', $to - $from);
say_('refusal.code', checkout(4)->faultdetail->{LicensingFault}{code});
say_('renewal.created', checkout(1)->valueof('//created'));

sub held {
    my $listed = call(licensing => 'ListLeases', field(productCode => $run));
    return join ' ', sort map { substr $_, -1 } $listed->valueof('//leases/leaseId');
}
say_('leases', held());
call(licensing => 'ReleaseLease', field(leaseId => "$run-1"));
say_('released', held());
