# Print what SOAP::WSDL makes of a refusal.
use strict;
use warnings;
use lib '.';
use Licentia::Depot::Interfaces::DepotService::DepotSoap11;

my $depot = Licentia::Depot::Interfaces::DepotService::DepotSoap11->new(
    {proxy_address => "$ENV{LICENTIA_URL}/soap/depot"});
my (undef, $id, $secret) = split /_/, $ENV{KEY_DEPOT}, 3;
$depot->get_transport->default_headers->authorization_basic($id, $secret);
print $depot->GetTicket({code => '00000-00000-00000-00000-00000'});
